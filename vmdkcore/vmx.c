/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bytes.h"
#include "charset.h"
#include "descriptor-text.h"
#include "vmx.h"

static const char *const buses[] = { "scsi", "sata", "nvme", "ide" };

/* Controllers have numbers of at most two digits, units of three. */
#define MAX_CONTROLLERS 100
#define NR_BUSES (sizeof buses / sizeof buses[0])

/* What the lines say of one device; spans of the text. */
struct device {
  size_t bus;
  unsigned controller, unit;
  bool present;
  struct span file, type;
};

struct vmx {
  const char *name;
  const struct logger *logger;
  struct span encoding;
  unsigned nr_lines;            /* that are pairs of key and value */
  bool absent[NR_BUSES][MAX_CONTROLLERS];
  struct device *devices;
  size_t nr_devices, max_devices;
  struct vmdk_error *error;
};

/* Cut a number of at most 'digits' digits off the key. */
static bool
cut_number (struct span *key, size_t digits, unsigned *number)
{
  size_t n = 0;

  *number = 0;
  while (n < key->len && n <= digits && isdigit ((unsigned char) key->p[n]))
    *number = *number * 10 + (unsigned) (key->p[n++] - '0');
  key->p += n;
  key->len -= n;
  return n > 0 && n <= digits;
}

static bool
cut_char (struct span *key, char c)
{
  if (key->len == 0 || key->p[0] != c)
    return false;
  key->p++, key->len--;
  return true;
}

static struct device *
find_device (struct vmx *vmx, size_t bus, unsigned controller, unsigned unit)
{
  struct device *d;
  size_t i;

  /* Lines of one device mostly follow each other. */
  for (i = vmx->nr_devices; i > 0; --i) {
    d = &vmx->devices[i-1];
    if (d->bus == bus && d->controller == controller && d->unit == unit)
      return d;
  }
  if (vmx->nr_devices == VMX_MAX_DEVICES) {
    error_set (vmx->error, VMDK_ERROR_UNSUPPORTED, E2BIG,
               "%s: names more than %d devices", vmx->name, VMX_MAX_DEVICES);
    return NULL;
  }
  if (vmx->nr_devices == vmx->max_devices) {
    const size_t max = vmx->max_devices == 0 ? 16 : 2 * vmx->max_devices;

    d = reallocarray (vmx->devices, max, sizeof *d);
    if (!d) {
      error_nomem (vmx->error);
      return NULL;
    }
    vmx->devices = d;
    vmx->max_devices = max;
  }
  d = &vmx->devices[vmx->nr_devices++];
  *d = (struct device) { .bus = bus, .controller = controller, .unit = unit };
  return d;
}

/* Take a line about a bus: "scsi0.present", or "scsi0:1.fileName". */
static int
take_bus (struct vmx *vmx, size_t bus, struct span key, struct span value)
{
  unsigned controller, unit;
  struct device *d;

  if (!cut_number (&key, 2, &controller))
    return 0;
  if (cut_char (&key, '.')) {
    if (span_is (key, "present"))
      vmx->absent[bus][controller] = span_is (value, "FALSE");
    return 0;
  }
  if (!cut_char (&key, ':') || !cut_number (&key, 3, &unit) ||
      !cut_char (&key, '.') ||
      !(span_is (key, "present") || span_is (key, "fileName") ||
        span_is (key, "deviceType")))
    return 0;
  d = find_device (vmx, bus, controller, unit);
  if (!d)
    return -1;
  if (span_is (key, "present"))
    d->present = span_is (value, "TRUE");
  else if (span_is (key, "fileName"))
    d->file = value;
  else
    d->type = value;
  return 0;
}

static int
take_line (struct vmx *vmx, struct span line)
{
  const char *eq = memchr (line.p, '=', line.len);
  struct span key, value;
  bool is_closed;
  size_t bus;

  if (!eq || line.p[0] == '#')
    return 0;
  vmx->nr_lines++;
  key = span_trim ((struct span) { line.p, (size_t) (eq - line.p) });
  value = span_trim ((struct span) {
    eq + 1, line.len - (size_t) (eq + 1 - line.p)
  });
  value = text_cut_value (value, &is_closed);
  if (span_is (key, ".encoding"))
    vmx->encoding = value;
  for (bus = 0; bus < NR_BUSES; ++bus)
    if (span_starts (key, buses[bus])) {
      key.p += strlen (buses[bus]);
      key.len -= strlen (buses[bus]);
      return take_bus (vmx, bus, key, value);
    }
  return 0;
}

static unsigned
hex_digit (char c)
{
  return (unsigned) (isdigit ((unsigned char) c) ? c - '0' :
                     tolower ((unsigned char) c) - 'a' + 10);
}

/* A copy of a value in which "|22" is the character 0x22.  Ends at a NUL,
 * however that is written.
 */
static char *
unescape (struct span s)
{
  char *r = malloc (s.len + 1);
  size_t i, n = 0;

  if (!r)
    return NULL;
  for (i = 0; i < s.len; ++i)
    if (s.p[i] == '|' && s.len - i > 2 &&
        isxdigit ((unsigned char) s.p[i+1]) &&
        isxdigit ((unsigned char) s.p[i+2])) {
      r[n++] = (char) (hex_digit (s.p[i+1]) << 4 | hex_digit (s.p[i+2]));
      i += 2;
    }
    else
      r[n++] = s.p[i];
  r[n] = '\0';
  return r;
}

/* The name in UTF-8, or as it is if that is not known.  NULL if memory is
 * short.
 */
static char *
file_name (const struct vmx *vmx, struct span file)
{
  char *name = unescape (file), *encoding, *converted;

  if (!name || charset_is_utf8 (name, strlen (name)))
    return name;
  encoding = strndup (vmx->encoding.len > 0 ? vmx->encoding.p : "",
                      vmx->encoding.len);
  if (!encoding) {
    free (name);
    return NULL;
  }
  converted = charset_to_utf8 (encoding, name, strlen (name));
  free (encoding);
  if (!converted)
    return name;
  free (name);
  return converted;
}

static bool
span_has (struct span s, const char *word)
{
  for (; s.len > 0; s.p++, s.len--)
    if (span_starts (s, word))
      return true;
  return false;
}

static bool
is_vmdk (const char *name)
{
  const size_t len = strlen (name);

  return len > 5 && strcasecmp (name + len - 5, ".vmdk") == 0;
}

/* Put the file of a device into the list, if it is a disk. */
static int
list_device (const struct vmx *vmx, const struct device *d,
             struct name_list *list)
{
  const char *why;
  char *name;

  if (!d->present || vmx->absent[d->bus][d->controller])
    return 0;
  name = file_name (vmx, d->file);
  if (!name)
    return error_nomem (vmx->error);
  if (span_has (d->type, "cdrom"))
    why = "a CD-ROM drive";
  else if (span_is (d->type, "rawDisk") || span_has (d->type, "passthru"))
    why = "a device of the host";
  else if (!is_vmdk (name))
    why = "not a file X.vmdk";
  else if (!name_can_be_told (name))
    why = "not a name that a client could be told";
  else if (name_list_has (list, name))
    why = "the same file again";
  else
    why = NULL;
  if (!why && name_list_add (list, name, NULL) == 0)
    return 0;
  if (why)
    logger_note (vmx->logger, "%s: %s%u:%u is not served: it is %s",
                 vmx->name, buses[d->bus], d->controller, d->unit, why);
  free (name);
  return why ? 0 : error_nomem (vmx->error);
}

static int
compare_devices (const void *a, const void *b)
{
  const struct device *x = a, *y = b;

  if (x->bus != y->bus)
    return x->bus < y->bus ? -1 : 1;
  if (x->controller != y->controller)
    return x->controller < y->controller ? -1 : 1;
  return x->unit < y->unit ? -1 : x->unit > y->unit;
}

int
vmx_parse (const char *text, size_t len, const char *name,
           const struct logger *logger, struct name_list *list,
           struct vmdk_error *error)
{
  struct vmx vmx = { .name = name, .logger = logger, .error = error };
  struct span rest = text_body (text, len), line;
  size_t i;
  int r = 0;

  *list = (struct name_list) { 0 };
  while (r == 0 && text_next_line (&rest, &line))
    if (line.len > 0)
      r = take_line (&vmx, line);
  if (r == 0 && vmx.nr_lines == 0)
    r = error_set (error, VMDK_ERROR_CORRUPT, EINVAL,
                   "%s: not the configuration of a virtual machine: it has "
                   "no line KEY = VALUE", name);
  if (vmx.nr_devices > 0)
    qsort (vmx.devices, vmx.nr_devices, sizeof *vmx.devices,
           compare_devices);
  for (i = 0; i < vmx.nr_devices && r == 0; ++i)
    r = list_device (&vmx, &vmx.devices[i], list);
  free (vmx.devices);
  if (r == 0 && list->nr == 0)
    r = error_set (error, VMDK_ERROR_UNSUPPORTED, EINVAL,
                   "%s: the virtual machine has no disks in files X.vmdk",
                   name);
  if (r == -1)
    name_list_free (list);
  return r;
}
