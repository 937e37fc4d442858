/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* A power cut may leave each sector of what is being written old or new,
 * and each such state of a descriptor must open.  If its text keeps its
 * length any of them does; if the text moves, because there is no CID or
 * one with too few digits, what moves must lie in one sector.  A file
 * that is nothing but a descriptor can be replaced as a whole instead.
 */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "bytes.h"
#include "content-id.h"
#include "descriptor-edit.h"

struct plan {
  char *text;                   /* the present one */
  size_t len;
  struct descriptor_change change;
  struct edited_descriptor edited;
  bool replace;                 /* the file, not only what is different */
};

static void
free_plan (struct plan *plan)
{
  free (plan->text);
  free (plan->edited.text);
}

static int
random_id (struct descriptor_change *change, const char *text, size_t len,
           struct vmdk_error *error)
{
  uint8_t *id = change->long_content_id;

  if (getrandom (id, sizeof change->long_content_id, 0) !=
      sizeof change->long_content_id)
    return error_sys (error, errno, "getrandom");
  change->cid = descriptor_fit_cid (text, len, load_le32 (id));
  id[12] = (uint8_t) (change->cid >> 24);
  id[13] = (uint8_t) (change->cid >> 16);
  id[14] = (uint8_t) (change->cid >> 8);
  id[15] = (uint8_t) change->cid;
  return 0;
}

/* Choose a way to write the new text that no power cut can break. */
static int
choose_way (const struct link *link, struct plan *plan,
            struct vmdk_error *error)
{
  const struct edited_descriptor *e = &plan->edited;
  struct io *io = link->files[0];

  if (e->moved == e->moved_end)
    return 0;
  if (link->descriptor_room == UINT64_MAX) {
    plan->replace = true;
    if (!io->ops->replace)
      return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                        "the descriptor must become longer, and cannot be "
                        "replaced");
    if (io->ops->check_replace (io, error) == 0)
      return 0;
    error_prefix (error, "the descriptor must become longer, and cannot be "
                  "replaced");
    return -1;
  }
  /* The area begins with a sector. */
  if (e->len == plan->len &&
      e->moved / SECTOR_SIZE == (e->moved_end - 1) / SECTOR_SIZE)
    return 0;
  return error_set (error, VMDK_ERROR_UNSUPPORTED, EROFS,
                    "the descriptor must become longer, and more than one "
                    "sector of it would change");
}

/* On failure nothing is left to free. */
static int
make_plan (const struct link *link, struct plan *plan,
           struct vmdk_error *error)
{
  struct io *io = link->files[0];
  const size_t room =
    (size_t) min_u64 (link->descriptor_room, DESCRIPTOR_MAX_SIZE);

  *plan = (struct plan) {
    .len = (size_t) min_u64 (room, io->size - link->descriptor_offset),
  };
  plan->text = malloc (plan->len + 1);  /* not 0 bytes */
  if (!plan->text)
    return error_nomem (error);
  if (io_pread (io, plan->text, plan->len, link->descriptor_offset,
                error) == 0 &&
      random_id (&plan->change, plan->text, plan->len, error) == 0 &&
      descriptor_edit (plan->text, plan->len, room, &plan->change,
                       &plan->edited, error) == 0 &&
      choose_way (link, plan, error) == 0)
    return 0;
  free_plan (plan);
  return -1;
}

int
content_id_check (const struct link *link, struct vmdk_error *error)
{
  struct plan plan;

  if (link->descriptor_room == 0)
    return 0;
  if (make_plan (link, &plan, error) == -1) {
    error_prefix (error, "%s: is read-only because its content ID cannot be "
                  "changed", link->name);
    return -1;
  }
  free_plan (&plan);
  return 0;
}

/* Write the bytes that are not the same as before.  On failure put them
 * back if some of the text may have moved already.
 */
static int
write_in_place (const struct link *link, const struct plan *plan,
                bool *unsure, struct vmdk_error *error)
{
  const struct edited_descriptor *e = &plan->edited;
  struct io *io = link->files[0];
  struct vmdk_error ignored;
  size_t first = 0, end = plan->len;

  while (first < end && plan->text[first] == e->text[first])
    first++;
  while (end > first && plan->text[end - 1] == e->text[end - 1])
    end--;
  if (first < end &&
      io_pwrite (io, e->text + first, end - first,
                 link->descriptor_offset + first, error) == -1) {
    *unsure = e->moved != e->moved_end &&
      io_pwrite (io, plan->text + first, end - first,
                 link->descriptor_offset + first, &ignored) == -1;
    return -1;
  }
  /* Other threads may be flushing. */
  if (io_sync_now (io, error) == -1) {
    *unsure = true;
    return -1;
  }
  return 0;
}

int
content_id_change (struct link *link, bool *unsure, struct vmdk_error *error)
{
  struct io *io = link->files[0];
  struct plan plan;
  int r;

  *unsure = false;
  if (link->descriptor_room == 0)
    return 0;
  r = make_plan (link, &plan, error);
  if (r == 0) {
    r = plan.replace ?
      io->ops->replace (io, plan.edited.text, plan.edited.len, unsure,
                        error) :
      write_in_place (link, &plan, unsure, error);
    if (r == 0) {
      link->cid = plan.change.cid;
      link->has_cid = true;
    }
    free_plan (&plan);
  }
  if (r == -1)
    error_prefix (error, "%s", link->name);
  return r;
}
