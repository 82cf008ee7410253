/* Interleaved nonces with the SHA-256 instructions of ARMv8's cryptographic extension.
 *
 * SHA256H and SHA256H2 do four rounds: from ABCD, EFGH and the sums of constants and words the one
 * makes the new ABCD, the other the new EFGH. Each takes some four cycles, and the next four rounds
 * need both: STREAMS nonces take turns.
 */
#include "kernels.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#include "sha256.h"

#if defined(__clang__)
#define TARGET __attribute__((target("sha2")))
#else
#define TARGET __attribute__((target("+crypto")))
#endif
#define INLINE TARGET __attribute__((always_inline)) static inline
#define STREAMS 4

#define EACH(...) \
    do { \
        { enum { s = 0 }; __VA_ARGS__ } \
        { enum { s = 1 }; __VA_ARGS__ } \
        { enum { s = 2 }; __VA_ARGS__ } \
        { enum { s = 3 }; __VA_ARGS__ } \
    } while (0)

/* Four rounds; `sums` are their constants with their words. */
#define FOUR_ROUNDS(sums) \
    EACH(uint32x4_t sum = sums, before = abcd[s]; \
         abcd[s] = vsha256hq_u32(abcd[s], efgh[s], sum); \
         efgh[s] = vsha256h2q_u32(efgh[s], before, sum);)

/* Words t to t + 3 take the place of words t - 16 to t - 13. */
#define NEXT_WORDS(t) \
    EACH(w[(t) / 4 & 3][s] = vsha256su1q_u32( \
             vsha256su0q_u32(w[(t) / 4 & 3][s], w[((t) / 4 + 1) & 3][s]), \
             w[((t) / 4 + 2) & 3][s], w[((t) / 4 + 3) & 3][s]);)

#define OLD_WORDS(t) \
    do { \
        uint32x4_t k = vld1q_u32(EDGENODE_SHA256_K + (t)); \
        FOUR_ROUNDS(vaddq_u32(w[(t) / 4 & 3][s], k)); \
    } while (0)
#define NEW_WORDS(t) NEXT_WORDS(t); OLD_WORDS(t)
#define FIXED_WORDS(sums) \
    do { \
        uint32x4_t fixed = sums; \
        FOUR_ROUNDS(fixed); \
    } while (0)

/* Word 7 of the hashes of `nonce` and the nonces that follow it. */
INLINE void hash(const edgenode_job *job, uint32_t nonce, uint32_t word[STREAMS])
{
    const uint32x4_t zero = vdupq_n_u32(0), end = vsetq_lane_u32(EDGENODE_SHA256_END, zero, 0);
    uint32x4_t w[4][STREAMS], abcd[STREAMS], efgh[STREAMS];
    EACH(uint32_t swapped = edgenode_swap_bytes(nonce + s);
         uint32x4_t alone = vsetq_lane_u32(swapped, zero, 0);
         abcd[s] = vaddq_u32(vld1q_u32(job->after_nonce), alone);
         efgh[s] = vaddq_u32(vld1q_u32(job->after_nonce + 4), alone);
         w[0][s] = vaddq_u32(
             vld1q_u32(job->first_words),
             vsetq_lane_u32(swapped, vsetq_lane_u32(edgenode_sigma0(swapped), zero, 2), 3)););
    FIXED_WORDS(vaddq_u32(vld1q_u32(EDGENODE_SHA256_K + 4), end));
    FIXED_WORDS(vld1q_u32(job->first_keys + 8));
    FIXED_WORDS(vld1q_u32(job->first_keys + 12));
    OLD_WORDS(16);
    /* What words 20 to 31 take from words 4 to 15 are constants; SHA256SU1 adds the rest. */
    EACH(w[3][s] = vsetq_lane_u32(EDGENODE_SHA256_HEADER_BITS, zero, 3);
         w[1][s] = vsha256su1q_u32(end, w[3][s], w[0][s]););
    OLD_WORDS(20);
    EACH(w[2][s] = vsha256su1q_u32(zero, w[0][s], w[1][s]););
    OLD_WORDS(24);
    EACH(w[3][s] = vsha256su1q_u32(vld1q_u32(job->first_words + 12), w[1][s], w[2][s]););
    OLD_WORDS(28);
    NEW_WORDS(32);
    NEW_WORDS(36);
    NEW_WORDS(40);
    NEW_WORDS(44);
    NEW_WORDS(48);
    NEW_WORDS(52);
    NEW_WORDS(56);
    NEW_WORDS(60);

    /* The hash is the message of the second hash. */
    EACH(w[0][s] = vaddq_u32(abcd[s], vld1q_u32(job->midstate));
         w[1][s] = vaddq_u32(efgh[s], vld1q_u32(job->midstate + 4));
         w[2][s] = vld1q_u32(job->second_padding);
         w[3][s] = vld1q_u32(job->second_padding + 4);
         abcd[s] = vld1q_u32(EDGENODE_SHA256_INITIAL);
         efgh[s] = vld1q_u32(EDGENODE_SHA256_INITIAL + 4););
    OLD_WORDS(0);
    OLD_WORDS(4);
    FIXED_WORDS(vld1q_u32(job->second_keys + 8));
    FIXED_WORDS(vld1q_u32(job->second_keys + 12));
    NEW_WORDS(16);
    NEW_WORDS(20);
    EACH(w[2][s] = vsha256su1q_u32(w[2][s], w[0][s], w[1][s]););
    OLD_WORDS(24);
    NEW_WORDS(28);
    NEW_WORDS(32);
    NEW_WORDS(36);
    NEW_WORDS(40);
    NEW_WORDS(44);
    NEW_WORDS(48);
    NEW_WORDS(52);
    NEW_WORDS(56);
    /* Word 7 is the last h; the last abcd is not needed. */
    NEXT_WORDS(60);
    EACH(efgh[s] = vsha256h2q_u32(
             efgh[s], abcd[s], vaddq_u32(w[3][s], vld1q_u32(EDGENODE_SHA256_K + 60)));
         word[s] = vgetq_lane_u32(efgh[s], 3) + EDGENODE_SHA256_INITIAL[7];);
}

TARGET bool edgenode_search_armv8(const edgenode_job *job, uint32_t first, uint64_t count,
                                  uint32_t *found)
{
    for (uint64_t done = 0; done < count; done += STREAMS) {
        uint32_t nonce = first + (uint32_t)done, word[STREAMS];
        hash(job, nonce, word);
        EACH(if (edgenode_swap_bytes(word[s]) <= job->limit[7] && done + s < count
                 && edgenode_job_meets(job, nonce + s)) {
                 *found = nonce + s;
                 return true;
             });
    }
    return false;
}

#endif
