/* Two streams of sixteen nonces with AVX-512. */
#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw")))
#define LANES 16
#define STREAMS 2
#define VECTOR __m512i
#define PIN(x) __asm__("" : "+v"(x))
#define SETTLE() __asm__ volatile("" ::: "memory")

#define ADD(x, y) _mm512_add_epi32(x, y)
#define BROADCAST(word) _mm512_set1_epi32((int)(word))

#define ROTATE(x, bits) _mm512_ror_epi32(x, bits)
#define RIGHT(x, bits) _mm512_srli_epi32(x, bits)
/* The truth tables of three words' exclusive or, of choose and of majority. */
#define XOR3(x, y, z) _mm512_ternarylogic_epi32(x, y, z, 0x96)
#define CHOOSE(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca)
#define MAJORITY(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8)

#define SUM0(a) XOR3(ROTATE(a, 2), ROTATE(a, 13), ROTATE(a, 22))
#define SUM1(e) XOR3(ROTATE(e, 6), ROTATE(e, 11), ROTATE(e, 25))
#define SIGMA0(w) XOR3(ROTATE(w, 7), ROTATE(w, 18), RIGHT(w, 3))
#define SIGMA1(w) XOR3(ROTATE(w, 17), ROTATE(w, 19), RIGHT(w, 10))

TARGET static inline __m512i swap_bytes(__m512i x)
{
    return _mm512_shuffle_epi8(
        x, _mm512_set4_epi32(0x0c0d0e0f, 0x08090a0b, 0x04050607, 0x00010203));
}

TARGET static inline __m512i NONCES(uint32_t first)
{
    __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return swap_bytes(ADD(BROADCAST(first), lanes));
}

TARGET static inline uint32_t AT_MOST(__m512i x, uint32_t limit)
{
    return _mm512_cmple_epu32_mask(swap_bytes(x), BROADCAST(limit));
}

/* By assembler: the compiler would first load it to a general register, at twice the cost. */
#define SPREAD(array, i) spread((array) + (i))
TARGET static inline VECTOR spread(const uint32_t *word)
{
    VECTOR x;
    __asm__("vpbroadcastd %1, %0" : "=v"(x) : "m"(*word));
    return x;
}

#include "kernel_lanes.h"

bool edgenode_search_avx512(const edgenode_job *job, uint32_t first, uint64_t count,
                            uint32_t *found)
{
    return search_lanes(job, first, count, found);
}

#endif
