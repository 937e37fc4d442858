/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

#include <config.h>

#include <errno.h>

#include "faults.h"
#include "fuzz.h"

static unsigned calls_left;     /* up to the one that fails */
static bool all_fail, active, met;

/* What all backends have, and the same with faults. */
static const struct io_ops *real;
static struct io_ops faulty;

void
faults_begin (unsigned call, bool all)
{
  calls_left = call;
  all_fail = all;
  active = true;
  met = false;
}

void
faults_stop (void)
{
  active = false;
}

void
faults_go_on (void)
{
  active = true;
}

bool
faults_met (void)
{
  return met;
}

static bool
fails (const struct io *io, struct vmdk_error *error)
{
  if (!active || calls_left == 0)
    return false;
  if (--calls_left > 0)
    return false;
  calls_left = all_fail;
  met = true;
  (void) error_set (error, VMDK_ERROR_IO, EIO, "%s: a call fails", io->name);
  return true;
}

static int
fault_pread (struct io *io, void *buf, size_t count, uint64_t offset,
             struct vmdk_error *error)
{
  return fails (io, error) ? -1 : real->pread (io, buf, count, offset, error);
}

static int
fault_pwrite (struct io *io, const void *buf, size_t count, uint64_t offset,
              struct vmdk_error *error)
{
  return fails (io, error) ? -1 :
    real->pwrite (io, buf, count, offset, error);
}

static int
fault_punch (struct io *io, uint64_t offset, uint64_t count,
             struct vmdk_error *error)
{
  return fails (io, error) ? -1 : real->punch (io, offset, count, error);
}

static int
fault_truncate (struct io *io, uint64_t size, struct vmdk_error *error)
{
  return fails (io, error) ? -1 : real->truncate (io, size, error);
}

static int
fault_sync (struct io *io, struct vmdk_error *error)
{
  return fails (io, error) ? -1 : real->sync (io, error);
}

static int
fault_replace (struct io *io, const void *data, size_t count, bool *unsure,
               struct vmdk_error *error)
{
  *unsure = false;
  return fails (io, error) ? -1 :
    real->replace (io, data, count, unsure, error);
}

static int
fault_lock (struct io *io, enum io_lock lock, struct vmdk_error *error)
{
  return lock != IO_UNLOCKED && fails (io, error) ? -1 :
    real->lock (io, lock, error);
}

/* The backend stays what it is, but for its calls. */
static struct io *
wrap (void *opaque, struct io *io, struct vmdk_error *error)
{
  (void) opaque;
  (void) error;
  if (!real) {
    real = io->ops;
    faulty = *real;
    faulty.pread = fault_pread;
    faulty.pwrite = fault_pwrite;
    faulty.punch = fault_punch;
    faulty.truncate = fault_truncate;
    faulty.sync = fault_sync;
    faulty.replace = fault_replace;
    faulty.lock = fault_lock;
  }
  if (io->ops != real)
    wrong ("another backend", io->name);
  io->ops = &faulty;
  return io;
}

const struct io_hook faults_hook = { .wrap = wrap };
