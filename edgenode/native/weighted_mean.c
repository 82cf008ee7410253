#include "weighted_mean.h"

#include <string.h>

enum { RUN = 16 };

static const uint32_t SIGN = 0x80000000;

/* A signed number times an unsigned weight, as instructions that every x86-64 and ARM has for
 * vectors: unsigned, with 2^31 added to the number and 2^31 weights taken away again. */
static inline void add_run(uint64_t *restrict sums, const uint8_t *restrict numbers, size_t count,
                           uint32_t weight)
{
    const uint64_t excess = (uint64_t)weight << 31;
    for (size_t i = 0; i < count; i++) {
        uint32_t number;
        memcpy(&number, numbers + 4 * i, sizeof number);
        sums[i] += (uint64_t)(number ^ SIGN) * weight - excess;
    }
}

void edgenode_add_weighted(int64_t *sums, const uint8_t *numbers, size_t count, uint32_t weight)
{
    uint64_t *unsigned_sums = (uint64_t *)sums; /* these may overflow */
    size_t i = 0;
    /* Runs of a length that the compiler knows become vector instructions at -O2, too. */
    for (; count - i >= RUN; i += RUN)
        add_run(unsigned_sums + i, numbers + 4 * i, RUN, weight);
    add_run(unsigned_sums + i, numbers + 4 * i, count - i, weight);
}

static int64_t clipped(int64_t value, int64_t lowest, int64_t highest)
{
    return value < lowest ? lowest : value > highest ? highest : value;
}

static int64_t divided_half_to_even(int64_t sum, int64_t divisor)
{
    int64_t quotient = sum / divisor, remainder = sum % divisor;
    if (remainder < 0) { /* C rounds towards zero; this is to be the floor */
        quotient--;
        remainder += divisor;
    }
    const int64_t twice = 2 * remainder;
    return quotient + (twice > divisor || (twice == divisor && quotient % 2 != 0));
}

void edgenode_move_by_mean(const uint8_t *current, const int64_t *sums, size_t count,
                           uint32_t weight, uint8_t *moved)
{
    /* A mean beyond this saturates whatever it is added to. */
    const int64_t far = (int64_t)1 << 32;
    for (size_t i = 0; i < count; i++) {
        int32_t number;
        memcpy(&number, current + 4 * i, sizeof number);
        int64_t mean = clipped(divided_half_to_even(sums[i], weight), -far, far);
        number = (int32_t)clipped(number + mean, INT32_MIN, INT32_MAX);
        memcpy(moved + 4 * i, &number, sizeof number);
    }
}
