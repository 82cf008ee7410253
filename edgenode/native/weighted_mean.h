/* The arithmetic of federated averaging (docs/ledger.md, "Aggregation").
 *
 * Integers only, so every processor gives the same bits. Numbers of 32 bits are in this machine's
 * order, at any address: a payload's begin behind one byte.
 */
#ifndef EDGENODE_WEIGHTED_MEAN_H
#define EDGENODE_WEIGHTED_MEAN_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const uint8_t *numbers;
    uint32_t weight;
} edgenode_weighted;

/* sums[i] += weight * numbers[i] of each update given, modulo 2^64; no numbers overlap the sums.
 * Four updates at once take two thirds of the time of four, one after another. */
void edgenode_add_weighted(int64_t *sums, size_t count, const edgenode_weighted *updates,
                           size_t given);

/* moved[i] = current[i] + sums[i] / weight rounded half to even, saturated to 32 bits.
 * 1 <= weight < 2^31; `moved` overlaps neither of the others. */
void edgenode_move_by_mean(const uint8_t *current, const int64_t *sums, size_t count,
                           uint32_t weight, uint8_t *moved);

#endif
