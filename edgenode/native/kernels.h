/* The kernels: ways to search for a nonce, all with one result, of which a processor runs some.
 *
 * A program for one architecture holds all kernels of that architecture. None may be called before
 * its `runs_here` said yes.
 */
#ifndef EDGENODE_KERNELS_H
#define EDGENODE_KERNELS_H

#include "sha256d.h"

/* Tries `count` nonces from `first` on, of which none is above 2^32 - 1. Writes the lowest that
 * meets the target to *found and returns true, or returns false when none of them does. */
typedef bool edgenode_search_function(const edgenode_job *job, uint32_t first, uint64_t count,
                                      uint32_t *found);

typedef struct {
    const char *name;
    int lanes;                        /* nonces that it hashes side by side */
    bool (*runs_here)(void);          /* whether this processor and its system run it */
    edgenode_search_function *search; /* NULL in a program for another architecture */
} edgenode_kernel;

enum { EDGENODE_KERNELS = 6 };

/* Every kernel of every architecture; the first, in portable C, runs everywhere. */
extern const edgenode_kernel edgenode_kernels[EDGENODE_KERNELS];

/* Whether this processor and its system run instructions made for SHA-256. */
bool edgenode_has_sha_instructions(void);

/* Tries `count` nonces from `first` on; the nonce field of `header` is ignored.
 *
 * The search stops at the last 32-bit nonce, it never wraps. `target` is a 256-bit little-endian
 * number. Returns true and writes the lowest nonce that meets the target to *found, or returns
 * false when none of those tried does. The kernel must run here.
 */
bool edgenode_search(const edgenode_kernel *kernel, const uint8_t header[EDGENODE_HEADER_BYTES],
                     const uint8_t target[EDGENODE_HASH_BYTES], uint32_t first, uint64_t count,
                     uint32_t *found);

edgenode_search_function edgenode_search_portable;
edgenode_search_function edgenode_search_sha_ni;
edgenode_search_function edgenode_search_avx2;
edgenode_search_function edgenode_search_avx512;
edgenode_search_function edgenode_search_neon;
edgenode_search_function edgenode_search_armv8;

#endif
