/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* An amount, mostly of memory, of which several may take a part each. */

#ifndef VMDK_BUDGET_H
#define VMDK_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
  _Atomic uint64_t left;
};

/* Before any other call. */
static inline void
budget_init (struct budget *budget, uint64_t n)
{
  atomic_init (&budget->left, n);
}

/* Take 'n', or nothing and return false if that is not left.  Any thread. */
static inline bool
budget_take (struct budget *budget, uint64_t n)
{
  uint64_t left = atomic_load (&budget->left);

  do {
    if (left < n)
      return false;
  } while (!atomic_compare_exchange_weak (&budget->left, &left, left - n));
  return true;
}

/* Give back what was taken.  Any thread. */
static inline void
budget_give (struct budget *budget, uint64_t n)
{
  atomic_fetch_add (&budget->left, n);
}

/* What is left at this moment.  Any thread. */
static inline uint64_t
budget_left (struct budget *budget)
{
  return atomic_load (&budget->left);
}

#endif /* VMDK_BUDGET_H */
