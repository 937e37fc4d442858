/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Calls on the files of an image that fail. */

#ifndef VMDK_FUZZ_FAULTS_H
#define VMDK_FUZZ_FAULTS_H

#include <stdbool.h>

#include "io.h"

/* To be given to image_open. */
extern const struct io_hook faults_hook;

/* Let one of the calls fail that come now, the first being number 1, or also
 * all that follow it.
 */
extern void faults_begin (unsigned call, bool all);

/* Let no call fail, until faults_go_on if it is called. */
extern void faults_stop (void);
extern void faults_go_on (void);

/* Has a call failed since faults_begin? */
extern bool faults_met (void);

#endif /* VMDK_FUZZ_FAULTS_H */
