/* Eight nonces at a time with AVX2. */
#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))
#define LANES 8
#define STREAMS 1
#define VECTOR __m256i

#define PIN(x) __asm__("" : "+x"(x))
#define SETTLE() __asm__ volatile("" ::: "memory")
#define ADD(x, y) _mm256_add_epi32(x, y)
#define BROADCAST(word) _mm256_set1_epi32((int)(word))

/* AVX2 has no rotation: each is two shifts, joined like the rest by exclusive or. */
#define XOR(x, y) _mm256_xor_si256(x, y)
#define RIGHT(x, bits) _mm256_srli_epi32(x, bits)
#define ROTATE(x, bits) XOR(RIGHT(x, bits), _mm256_slli_epi32(x, 32 - (bits)))

TARGET static inline VECTOR SUM0(VECTOR a)
{
    return XOR(XOR(ROTATE(a, 2), ROTATE(a, 13)), ROTATE(a, 22));
}

TARGET static inline VECTOR SUM1(VECTOR e)
{
    return XOR(XOR(ROTATE(e, 6), ROTATE(e, 11)), ROTATE(e, 25));
}

TARGET static inline VECTOR SIGMA0(VECTOR w)
{
    return XOR(XOR(ROTATE(w, 7), ROTATE(w, 18)), RIGHT(w, 3));
}

TARGET static inline VECTOR SIGMA1(VECTOR w)
{
    return XOR(XOR(ROTATE(w, 17), ROTATE(w, 19)), RIGHT(w, 10));
}

TARGET static inline VECTOR CHOOSE(VECTOR e, VECTOR f, VECTOR g)
{
    return XOR(g, _mm256_and_si256(e, XOR(f, g)));
}

TARGET static inline VECTOR MAJORITY(VECTOR a, VECTOR b, VECTOR c)
{
    return XOR(b, _mm256_and_si256(XOR(a, b), XOR(b, c)));
}

TARGET static inline VECTOR swap_bytes(VECTOR x)
{
    const VECTOR order = _mm256_set_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203,
                                          0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203);
    return _mm256_shuffle_epi8(x, order);
}

TARGET static inline VECTOR NONCES(uint32_t first)
{
    return swap_bytes(ADD(BROADCAST(first), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0)));
}

TARGET static inline uint32_t AT_MOST(VECTOR x, uint32_t limit)
{
    VECTOR words = swap_bytes(x);
    /* AVX2 compares signed numbers only. A word is its minimum with the limit when it is at most
     * that. */
    VECTOR met = _mm256_cmpeq_epi32(words, _mm256_min_epu32(words, BROADCAST(limit)));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(met));
}

/* By assembler: the compiler would first load it to a general register, at twice the cost. */
#define SPREAD(array, i) spread((array) + (i))
TARGET static inline VECTOR spread(const uint32_t *word)
{
    VECTOR x;
    __asm__("vpbroadcastd %1, %0" : "=x"(x) : "m"(*word));
    return x;
}

#include "kernel_lanes.h"

bool edgenode_search_avx2(const edgenode_job *job, uint32_t first, uint64_t count,
                          uint32_t *found)
{
    return search_lanes(job, first, count, found);
}

#endif
