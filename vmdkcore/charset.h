/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* The encodings of names in descriptors; pure functions. */

#ifndef VMDK_CHARSET_H
#define VMDK_CHARSET_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes the UTF-8 character at 's' has, of which there are 'left', at
 * least 1; 0 if there is none.
 */
extern size_t charset_utf8_length (const char *s, size_t left);

/* Is this character, of so many bytes as charset_utf8_length says, one that is
 * not to be shown?  A terminal may act on control characters (U+0000 to U+001F,
 * U+007F to U+009F, the latter also as single bytes); and with those that
 * separate lines or change the direction of text (U+2028 to U+202E, U+2066 to
 * U+2069), a name can look like another, or like two lines.
 */
extern bool charset_is_control (const char *s, size_t len);

/* Is this a sequence of whole, shortest-form UTF-8 characters? */
extern bool charset_is_utf8 (const char *s, size_t len);

/* Convert from the encoding that a descriptor names to UTF-8.  Returns
 * a new string, or NULL if the encoding is not known, the bytes are
 * not valid in it, or memory is short.
 */
extern char *charset_to_utf8 (const char *encoding,
                              const char *s, size_t len);

#endif /* VMDK_CHARSET_H */
