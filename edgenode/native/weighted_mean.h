/* The arithmetic of federated averaging (docs/ledger.md, "Aggregation"), one update at a time.
 *
 * Integers only, so every processor gives the same bits. Numbers of 32 bits are in this machine's
 * order, at any address: a payload's begin behind one byte.
 */
#ifndef EDGENODE_WEIGHTED_MEAN_H
#define EDGENODE_WEIGHTED_MEAN_H

#include <stddef.h>
#include <stdint.h>

/* sums[i] += weight * numbers[i], modulo 2^64; the two do not overlap. */
void edgenode_add_weighted(int64_t *sums, const uint8_t *numbers, size_t count, uint32_t weight);

/* moved[i] = current[i] + sums[i] / weight rounded half to even, saturated to 32 bits.
 * 1 <= weight < 2^31; `moved` overlaps neither of the others. */
void edgenode_move_by_mean(const uint8_t *current, const int64_t *sums, size_t count,
                           uint32_t weight, uint8_t *moved);

#endif
