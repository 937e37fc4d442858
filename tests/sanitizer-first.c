/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What nbdkit needs that is loaded together with the runtime of a sanitizer.
 * The linker makes the initialiser of this library the first one, which it can
 * do for one library only.
 */

#include <config.h>

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* There if the leak sanitizer is: what it is to look for pointers in, and that
 * it is to do so, and end the program with an error if something leaks.
 */
extern void __lsan_register_root_region (const void *, size_t)
  __attribute__ ((weak));
extern void __lsan_do_leak_check (void) __attribute__ ((weak));

/* Copies of variables.  One region, since the runtime reads the list of
 * mappings for each.
 */
#define ROOM (UINT64_C (64) << 20)
static char *copies;
static size_t used;

/* Not with memcpy: the sanitizer's would report what is between variables. */
static void __attribute__ ((no_sanitize_address))
copy_page (uintptr_t start, size_t size)
{
  const volatile uintptr_t *from = (const volatile uintptr_t *) start;
  volatile uintptr_t *to = (volatile uintptr_t *) (copies + used);
  size_t i;

  for (i = 0; i < size / sizeof *to; i++)
    to[i] = from[i];
  used += size;
}

/* Copy those of the pages that somebody has touched, or rather that are in
 * memory: what has been swapped out since may be called a leak.
 */
static void
copy_pages (uintptr_t start, uintptr_t end)
{
  const uintptr_t page = (uintptr_t) sysconf (_SC_PAGESIZE);
  const size_t nr = (end - start) / page;
  unsigned char *resident = malloc (nr);
  size_t i;

  if (!resident || mincore ((void *) start, end - start, resident) == -1)
    abort ();
  for (i = 0; i < nr; i++)
    if (resident[i]) {
      if (used + page > ROOM)
        abort ();
      copy_page (start + i * page, page);
    }
  free (resident);
}

static int
copy_variables (struct dl_phdr_info *info, size_t size, void *opaque)
{
  const uintptr_t page = (uintptr_t) sysconf (_SC_PAGESIZE);
  Dl_info runtime;
  size_t i;

  (void) size;
  (void) opaque;
  /* The runtime's own variables know of everything. */
  if (dladdr ((void *) (uintptr_t) __lsan_do_leak_check, &runtime) != 0 &&
      (uintptr_t) runtime.dli_fbase == info->dlpi_addr)
    return 0;
  for (i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) *h = &info->dlpi_phdr[i];
    const uintptr_t start = info->dlpi_addr + h->p_vaddr;

    if (h->p_type == PT_LOAD && h->p_flags & PF_W && h->p_memsz > 0)
      copy_pages (start & -page, (start + h->p_memsz + page - 1) & -page);
  }
  return 0;
}

/* When the server ends.  By itself the leak sanitizer would look for pointers
 * in all variables, and nbdkit has 192 MiB of zeroes that it does not use:
 * reading them took 1.5 seconds of each of the thousands of servers of the
 * tests.  So the nbdkit script tells it not to check by itself
 * (leak_check_at_exit=0) and not to look at variables (use_globals=0), but at
 * copies of those that have been used.
 */
static void
check_leaks (void)
{
  copies = mmap (NULL, ROOM, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copies == MAP_FAILED)
    abort ();
  dl_iterate_phdr (copy_variables, NULL);
  __lsan_register_root_region (copies, used);
  __lsan_do_leak_check ();
}

/* What is for this program alone is not for those that it starts, such as the
 * shell of --run.  The C library may not know of the environment yet.
 */
static void
hide (char **env)
{
  static const char *const names[] = {
    "LD_PRELOAD=", "LSAN_OPTIONS=", "MALLOC_PERTURB_=",
  };
  char **to = env;
  size_t i;

  for (; *env; ++env) {
    for (i = 0; i < sizeof names / sizeof names[0]; ++i)
      if (strncmp (*env, names[i], strlen (names[i])) == 0)
        break;
    if (i == sizeof names / sizeof names[0])
      *to++ = *env;
  }
  *to = NULL;
}

/* The runtime initialises itself at the first call of malloc.  That must not
 * be the one in the newlocale of p11-kit's initialiser: the runtime calls
 * dlerror, which unlocks the lock that newlocale holds, and nbdkit, which uses
 * GnuTLS and so p11-kit, then hangs at exit if a thread has used that lock for
 * reading.
 */
static void __attribute__ ((constructor))
first (int argc, char **argv, char **env)
{
  void *volatile p = malloc (1);

  (void) argc;
  (void) argv;
  free (p);
  hide (env);
  if (__lsan_do_leak_check && atexit (check_leaks) != 0)
    abort ();
}
