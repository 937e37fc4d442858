/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* What is a line, a key and a value in a descriptor (Virtual Disk Format
 * 5.0); pure functions.  Spans point into the text, which is borrowed.
 */

#ifndef VMDK_DESCRIPTOR_TEXT_H
#define VMDK_DESCRIPTOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "descriptor.h"

/* A piece of the text, not terminated. */
struct span {
  const char *p;
  size_t len;
};

extern bool text_is_blank (char c);

/* Without the blanks at both ends. */
extern struct span span_trim (struct span s);

/* Compare, whatever the case of the letters. */
extern bool span_is (struct span s, const char *word);
extern bool span_starts (struct span s, const char *word);

/* The text without a byte order mark, up to the first NUL or 'len'. */
extern struct span text_body (const char *text, size_t len);

/* Cut the next line off the text, and trim it.  Returns false at the end
 * of the text.
 */
extern bool text_next_line (struct span *text, struct span *line);

/* Cut the next word off a line; empty at its end. */
extern struct span text_next_word (struct span *line);

/* If a trimmed line is an extent, get the access word, and what is behind
 * it, and return true.
 */
extern bool text_split_extent (struct span line, enum extent_access *access,
                               struct span *rest);

/* If a trimmed line, which is no extent, is a pair, split it and return
 * true.  The value has its quotes and its comment still.
 */
extern bool text_split_pair (struct span line, struct span *key,
                             struct span *value);

/* The value itself, without quotes and comment.  *is_closed tells whether
 * no quote is missing at its end.
 */
extern struct span text_cut_value (struct span value, bool *is_closed);

/* Parse 1 to 8 hex digits and nothing else. */
extern bool text_parse_cid (struct span s, uint32_t *cid);

#endif /* VMDK_DESCRIPTOR_TEXT_H */
