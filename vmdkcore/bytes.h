/* nbdkit-vmdk
 * Copyright The nbdkit-vmdk authors
 * SPDX-License-Identifier: BSD-3-Clause
 */

/* Little-endian loads, and arithmetic that cannot wrap silently. */

#ifndef VMDK_BYTES_H
#define VMDK_BYTES_H

#include <stdbool.h>
#include <stdint.h>

#define SECTOR_SIZE UINT64_C (512)

/* The largest number of sectors whose size in bytes is a signed 64 bit
 * number.
 */
#define MAX_SECTORS ((UINT64_C (1) << 54) - 1)

static inline uint16_t
load_le16 (const uint8_t *p)
{
  return (uint16_t) (p[0] | (uint16_t) p[1] << 8);
}

static inline uint32_t
load_le32 (const uint8_t *p)
{
  return (uint32_t) p[0] | (uint32_t) p[1] << 8 |
    (uint32_t) p[2] << 16 | (uint32_t) p[3] << 24;
}

static inline uint64_t
load_le64 (const uint8_t *p)
{
  return (uint64_t) load_le32 (p) | (uint64_t) load_le32 (p + 4) << 32;
}

static inline void
store_le16 (uint8_t *p, uint16_t n)
{
  p[0] = (uint8_t) n;
  p[1] = (uint8_t) (n >> 8);
}

static inline void
store_le32 (uint8_t *p, uint32_t n)
{
  store_le16 (p, (uint16_t) n);
  store_le16 (p + 2, (uint16_t) (n >> 16));
}

static inline void
store_le64 (uint8_t *p, uint64_t n)
{
  store_le32 (p, (uint32_t) n);
  store_le32 (p + 4, (uint32_t) (n >> 32));
}

/* Return false if a + b does not fit 64 bits. */
static inline bool
add_u64 (uint64_t a, uint64_t b, uint64_t *r)
{
  return !__builtin_add_overflow (a, b, r);
}

/* Return false if a * b does not fit 64 bits. */
static inline bool
mul_u64 (uint64_t a, uint64_t b, uint64_t *r)
{
  return !__builtin_mul_overflow (a, b, r);
}

static inline uint64_t
div_up (uint64_t a, uint64_t b)
{
  /* NOLINTNEXTLINE(clang-analyzer-*): recover.c's windows are not empty */
  return a / b + (a % b != 0);
}

static inline uint64_t
min_u64 (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

static inline uint64_t
max_u64 (uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

static inline bool
is_power_of_2 (uint64_t n)
{
  return n != 0 && (n & (n - 1)) == 0;
}

#endif /* VMDK_BYTES_H */
