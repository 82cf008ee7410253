/* Proof-of-work search: double SHA-256 (FIPS 180-4) of an 80-byte block header.
 *
 * The header ends in a 32-bit little-endian nonce. A header meets a target when
 * SHA-256(SHA-256(header)), read as a 256-bit little-endian number, is at most the
 * target. Nothing here allocates, keeps state between calls or uses the processor's
 * special instructions; any number of threads may search at once.
 */
#ifndef EDGENODE_SHA256D_H
#define EDGENODE_SHA256D_H

#include <stdbool.h>
#include <stdint.h>

enum {
    EDGENODE_HEADER_BYTES = 80,
    EDGENODE_NONCE_OFFSET = 76,
    EDGENODE_HASH_BYTES = 32,
};

/* Writes SHA-256(SHA-256(header)) to hash. */
void edgenode_sha256d_header(const uint8_t header[EDGENODE_HEADER_BYTES],
                             uint8_t hash[EDGENODE_HASH_BYTES]);

/* Tries `count` nonces from `first` on; the nonce field of `header` is ignored.
 *
 * The search stops at the last 32-bit nonce, it never wraps. `target` is a 256-bit
 * little-endian number. Returns true and writes the lowest nonce that meets the target
 * to *found, or returns false when none of those tried does.
 */
bool edgenode_search(const uint8_t header[EDGENODE_HEADER_BYTES],
                     const uint8_t target[EDGENODE_HASH_BYTES],
                     uint32_t first, uint64_t count, uint32_t *found);

#endif
