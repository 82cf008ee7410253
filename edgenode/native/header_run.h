/* Consecutive block headers checked in one call (docs/ledger.md, "Rules of headers").
 *
 * The Python rules of edgenode/ledger/headers.py are the reference; this gives the same
 * answers many times faster. All numbers of 256 bits are little-endian bytes. Nothing here
 * allocates or keeps state between calls.
 */
#ifndef EDGENODE_HEADER_RUN_H
#define EDGENODE_HEADER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EDGENODE_RUN_HEADER_BYTES = 80,
    EDGENODE_RUN_HASH_BYTES = 32,
    EDGENODE_MEDIAN_TIMES = 11,
};

/* The first rule that a header violates, in the order in which they are checked. */
enum edgenode_violation {
    EDGENODE_NO_VIOLATION,
    EDGENODE_TIME_TOO_NEW,
    EDGENODE_UNLINKED, /* the previous block is not the one before: no rule, but the run's end */
    EDGENODE_HEADER_VERSION,
    EDGENODE_TARGET_FORM,
    EDGENODE_TARGET_VALUE,
    EDGENODE_PROOF_OF_WORK,
    EDGENODE_TIME_TOO_OLD,
};

/* What genesis says. Times in seconds; half_life is at least 1. */
struct edgenode_run_rules {
    uint8_t limit[EDGENODE_RUN_HASH_BYTES];
    uint32_t first_target; /* compact form: that of the block after genesis */
    uint32_t spacing;
    uint32_t half_life;
    uint32_t longest_step; /* seconds between two blocks that count at most for the target */
    uint32_t behind;       /* seconds that a time may be below the parent's */
    uint64_t latest; /* the latest time that a header may have */
};

/* Where a run begins. */
struct edgenode_run_parent {
    uint8_t id[EDGENODE_RUN_HASH_BYTES];
    uint32_t target; /* compact form, canonical */
    bool genesis;
    /* Times of up to ten blocks before the parent and its own, oldest first; at least two
     * unless the parent is genesis. */
    uint32_t times[EDGENODE_MEDIAN_TIMES];
    size_t known;
};

/* Writes the ids of `count` headers, 32 bytes each. */
void edgenode_header_ids(const uint8_t *headers, size_t count, uint8_t *ids);

/* Checks headers of which each is to build on the one before, the first on the parent.
 *
 * Returns how many are good from the first on, writes their ids, and why the next one is not.
 */
size_t edgenode_check_run(const struct edgenode_run_rules *rules,
                          const struct edgenode_run_parent *parent,
                          const uint8_t *headers, size_t count, uint8_t *ids,
                          enum edgenode_violation *violation);

/* Whether a compact form is that of a target: canonical, and not zero. */
bool edgenode_is_target(uint32_t compact);

/* The target anchor * 2^(seconds / half_life), at least 1, at most the limit (aserti3-2d).
 * Both are above 0, |seconds| is below 2^46, half_life at least 1. */
void edgenode_asert(const uint8_t anchor[EDGENODE_RUN_HASH_BYTES],
                    const uint8_t limit[EDGENODE_RUN_HASH_BYTES],
                    int64_t seconds, uint32_t half_life,
                    uint8_t target[EDGENODE_RUN_HASH_BYTES]);

/* The sum of floor(2^256 / (target + 1)) over headers. False if a target is not in compact
 * form or the sum does not fit 256 bits. */
bool edgenode_total_work(const uint8_t *headers, size_t count,
                         uint8_t work[EDGENODE_RUN_HASH_BYTES]);

#endif
