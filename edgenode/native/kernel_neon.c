/* Four nonces at a time with NEON, which every 64-bit ARM processor has. */
#include "kernels.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define TARGET
#define LANES 4
#define STREAMS 1
#define VECTOR uint32x4_t
#define PIN(x) __asm__("" : "+w"(x))
/* State and words fit the 32 registers. */
#define SETTLE() ((void)0)

#define SPREAD(array, i) vdupq_laneq_u32(vld1q_u32((array) + ((i) & ~3)), (i) & 3)
#define ADD(x, y) vaddq_u32(x, y)

#define XOR3(x, y, z) veorq_u32(veorq_u32(x, y), z)
#define RIGHT(x, bits) vshrq_n_u32(x, bits)
/* NEON has no rotation: a shift, and one that inserts the bits which the first lost. */
#define ROTATE(x, bits) vsliq_n_u32(RIGHT(x, bits), x, 32 - (bits))
#define SUM0(a) XOR3(ROTATE(a, 2), ROTATE(a, 13), ROTATE(a, 22))
#define SUM1(e) XOR3(ROTATE(e, 6), ROTATE(e, 11), ROTATE(e, 25))
#define SIGMA0(w) XOR3(ROTATE(w, 7), ROTATE(w, 18), RIGHT(w, 3))
#define SIGMA1(w) XOR3(ROTATE(w, 17), ROTATE(w, 19), RIGHT(w, 10))
/* Bit selection: where a and b differ, c decides. */
#define CHOOSE(e, f, g) vbslq_u32(e, f, g)
#define MAJORITY(a, b, c) vbslq_u32(veorq_u32(a, b), c, b)

static inline uint32x4_t swap_bytes(uint32x4_t x)
{
    return vreinterpretq_u32_u8(vrev32q_u8(vreinterpretq_u8_u32(x)));
}

static inline uint32x4_t NONCES(uint32_t first)
{
    const uint32x4_t lanes = {0, 1, 2, 3};
    return swap_bytes(vaddq_u32(vdupq_n_u32(first), lanes));
}

static inline uint32_t AT_MOST(uint32x4_t x, uint32_t limit)
{
    const uint32x4_t bits = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcleq_u32(swap_bytes(x), vdupq_n_u32(limit)), bits));
}

#include "kernel_lanes.h"

bool edgenode_search_neon(const edgenode_job *job, uint32_t first, uint64_t count,
                          uint32_t *found)
{
    return search_lanes(job, first, count, found);
}

#endif
