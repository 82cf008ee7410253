#include "weighted_mean.h"

#include <string.h>

enum { RUN = 16 };

static const uint32_t SIGN = 0x80000000;

/* Only what is inlined early becomes vector instructions. */
#define INLINE static inline __attribute__((always_inline))

/* Number i plus 2^31: of an unsigned number times an unsigned weight every x86-64 and ARM has
 * vector instructions. The 2^31 weights that are too much are taken away again. */
INLINE uint64_t raised(const uint8_t *numbers, size_t i)
{
    uint32_t number;
    memcpy(&number, numbers + 4 * i, sizeof number);
    return number ^ SIGN;
}

INLINE void add_run(uint64_t *restrict sums, const uint8_t *restrict numbers, size_t count,
                    uint32_t weight)
{
    const uint64_t excess = (uint64_t)weight << 31;
    for (size_t i = 0; i < count; i++)
        sums[i] += raised(numbers, i) * weight - excess;
}

/* Loads and stores each sum once, where four runs do it four times. */
INLINE void add_four_runs(uint64_t *restrict sums, const uint8_t *restrict a,
                          const uint8_t *restrict b, const uint8_t *restrict c,
                          const uint8_t *restrict d, size_t count,
                          const edgenode_weighted *updates)
{
    const uint32_t of_a = updates[0].weight, of_b = updates[1].weight;
    const uint32_t of_c = updates[2].weight, of_d = updates[3].weight;
    const uint64_t excess = ((uint64_t)of_a + of_b + of_c + of_d) << 31;
    for (size_t i = 0; i < count; i++)
        sums[i] += raised(a, i) * of_a + raised(b, i) * of_b + raised(c, i) * of_c
                   + raised(d, i) * of_d - excess;
}

/* Runs of a length that the compiler knows become vector instructions at -O2, too. */
INLINE void add_one(uint64_t *sums, size_t count, const edgenode_weighted *update)
{
    const uint8_t *numbers = update->numbers;
    for (; count >= RUN; count -= RUN, sums += RUN, numbers += 4 * RUN)
        add_run(sums, numbers, RUN, update->weight);
    add_run(sums, numbers, count, update->weight);
}

INLINE void add_four(uint64_t *sums, size_t count, const edgenode_weighted *updates)
{
    const uint8_t *a = updates[0].numbers, *b = updates[1].numbers;
    const uint8_t *c = updates[2].numbers, *d = updates[3].numbers;
    for (; count >= RUN; count -= RUN, sums += RUN) {
        add_four_runs(sums, a, b, c, d, RUN, updates);
        a += 4 * RUN, b += 4 * RUN, c += 4 * RUN, d += 4 * RUN;
    }
    add_four_runs(sums, a, b, c, d, count, updates);
}

INLINE void add_all(uint64_t *sums, size_t count, const edgenode_weighted *updates, size_t given)
{
    for (; given >= 4; given -= 4, updates += 4)
        add_four(sums, count, updates);
    for (; given > 0; given--, updates++)
        add_one(sums, count, updates);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void add_all_avx2(uint64_t *sums, size_t count,
                                                         const edgenode_weighted *updates,
                                                         size_t given)
{
    add_all(sums, count, updates, given);
}
#endif

void edgenode_add_weighted(int64_t *sums, size_t count, const edgenode_weighted *updates,
                           size_t given)
{
    uint64_t *unsigned_sums = (uint64_t *)sums; /* these may overflow */
#if defined(__x86_64__)
    /* SSE2, which each x86-64 has, multiplies two numbers at a time, AVX2 four. */
    if (__builtin_cpu_supports("avx2")) {
        add_all_avx2(unsigned_sums, count, updates, given);
        return;
    }
#endif
    add_all(unsigned_sums, count, updates, given);
}

__extension__ typedef unsigned __int128 uint128;

static int64_t clipped(int64_t value, int64_t lowest, int64_t highest)
{
    return value < lowest ? lowest : value > highest ? highest : value;
}

/* sum / weight rounded half to even, at most `far` from 0; `inverse` is (2^64 - 1) / weight.
 *
 * A product takes half the time of a division. The inverse is at most 1 less than
 * 2^64 / weight and |sum| at most 2^63, so that the quotient found is the true one or 1 less. */
static int64_t mean(int64_t sum, uint32_t weight, uint64_t inverse, int64_t far)
{
    const uint64_t magnitude = sum < 0 ? -(uint64_t)sum : (uint64_t)sum;
    uint64_t quotient = (uint64_t)((uint128)magnitude * inverse >> 64);
    uint64_t remainder = magnitude - quotient * weight;
    if (remainder >= weight) {
        quotient++;
        remainder -= weight;
    }
    quotient += 2 * remainder > weight || (2 * remainder == weight && quotient % 2 != 0);
    const int64_t rounded = quotient < (uint64_t)far ? (int64_t)quotient : far;
    return sum < 0 ? -rounded : rounded;
}

void edgenode_move_by_mean(const uint8_t *current, const int64_t *sums, size_t count,
                           uint32_t weight, uint8_t *moved)
{
    /* A mean beyond this saturates whatever it is added to. */
    const int64_t far = (int64_t)1 << 32;
    const uint64_t inverse = UINT64_MAX / weight;
    for (size_t i = 0; i < count; i++) {
        int32_t number;
        memcpy(&number, current + 4 * i, sizeof number);
        const int64_t sum = number + mean(sums[i], weight, inverse, far);
        number = (int32_t)clipped(sum, INT32_MIN, INT32_MAX);
        memcpy(moved + 4 * i, &number, sizeof number);
    }
}
