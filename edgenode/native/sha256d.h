/* Proof of work: double SHA-256 (FIPS 180-4) of an 80-byte block header, and the search for nonces.
 *
 * The header ends in a 32-bit little-endian nonce. A header meets a target when
 * SHA-256(SHA-256(header)), read as a 256-bit little-endian number, is at most the target.
 * Nothing here allocates or keeps state between calls; any number of threads may search at once.
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

/* What all nonces of one search share, worked out once.
 *
 * The nonce is word 3 of the header's second block. Word 4 of that block ends the message, words 5
 * to 14 are zero, word 15 is the length. The second hash has a single block: eight words of the
 * first hash, the end, zeros, the length. Here "round t" is step t of FIPS 180-4, section 6.2.2.
 */
typedef struct {
    uint32_t midstate[8]; /* the hash value after the header's first 64 bytes */
    uint32_t tail[3];     /* words 0 to 2 of its second block */
    uint32_t limit[8];    /* the target, least significant word first */

    /* First hash, second block: */
    uint32_t after_nonce[8]; /* the state after round 3, were the nonce's word 0; that is yet to be
                                added to the first and the fifth */
    uint32_t first_keys[32]; /* for rounds 4 to 31: the constant, with the word up to round 17, with
                                h up to round 6: as long as no nonce is in them */
    uint32_t first_words[16]; /* words 16 to 31 as far as the nonce is not in them */

    /* Second hash: */
    uint32_t after_word[8];      /* the state after round 0, were word 0 zero; that is yet to be
                                    added to the first and the fifth */
    uint32_t second_keys[16];    /* for rounds 1 to 15: constant and padding, and h in rounds 1 to
                                    3, where no word of the first hash is in h */
    uint32_t second_padding[8];  /* words 8 to 15 */
} edgenode_job;

/* Writes SHA-256(SHA-256(header)) to hash. */
void edgenode_sha256d_header(const uint8_t header[EDGENODE_HEADER_BYTES],
                             uint8_t hash[EDGENODE_HASH_BYTES]);

/* Prepares a search; the nonce field of `header` is ignored, `target` is a 256-bit little-endian
 * number. */
void edgenode_job_prepare(edgenode_job *job, const uint8_t header[EDGENODE_HEADER_BYTES],
                          const uint8_t target[EDGENODE_HASH_BYTES]);

/* Whether the header with this nonce meets the target: the whole hash, the whole comparison. */
bool edgenode_job_meets(const edgenode_job *job, uint32_t nonce);

#endif
