/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Run a fuzz target over files: replay-TARGET FILE... */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define MAX_SIZE (1024 * 1024)

int
main (int argc, char *argv[])
{
  int i;

  for (i = 1; i < argc; ++i) {
    FILE *fp = fopen (argv[i], "rb");
    uint8_t *data = malloc (MAX_SIZE);
    size_t size;

    if (!fp || !data) {
      perror (argv[i]);
      return EXIT_FAILURE;
    }
    printf ("%s\n", argv[i]);
    fflush (stdout);
    size = fread (data, 1, MAX_SIZE, fp);
    fclose (fp);
    /* No byte behind the input can be read unnoticed. */
    data = realloc (data, size > 0 ? size : 1);
    if (!data)
      return EXIT_FAILURE;
    LLVMFuzzerTestOneInput (data, size);
    free (data);
  }
  return EXIT_SUCCESS;
}
