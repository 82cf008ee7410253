#include "header_run.h"

#include <string.h>

#include "header_hash.h"

enum { LIMBS = 4, WIDE_LIMBS = 5, VERSION = 1, MAX_EXPONENT = 33 };

/* Numbers of 256 bits in 64-bit limbs, the least significant first. */
struct number {
    uint64_t limb[LIMBS];
};

#ifndef __SIZEOF_INT128__
#error "edgenode needs a 64-bit system: a Raspberry Pi from the third on has the processor for it"
#endif
__extension__ typedef unsigned __int128 uint128;

static inline uint32_t load32(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static inline uint64_t load64(const uint8_t *bytes)
{
    return (uint64_t)load32(bytes + 4) << 32 | load32(bytes);
}

static struct number load(const uint8_t bytes[EDGENODE_RUN_HASH_BYTES])
{
    struct number value;
    for (int i = 0; i < LIMBS; i++)
        value.limb[i] = load64(bytes + 8 * i);
    return value;
}

static void store(const struct number *value, uint8_t bytes[EDGENODE_RUN_HASH_BYTES])
{
    for (int i = 0; i < EDGENODE_RUN_HASH_BYTES; i++)
        bytes[i] = (uint8_t)(value->limb[i / 8] >> 8 * (i % 8));
}

static int compare(const struct number *one, const struct number *other)
{
    for (int i = LIMBS - 1; i >= 0; i--)
        if (one->limb[i] != other->limb[i])
            return one->limb[i] < other->limb[i] ? -1 : 1;
    return 0;
}

/* Limbs shifted right by any number of bits, into the `count` lowest. */
static void shift_right(const uint64_t *from, int from_count, unsigned bits, uint64_t *to, int count)
{
    int whole = (int)(bits / 64);
    unsigned rest = bits % 64;
    for (int i = 0; i < count; i++) {
        int low = i + whole;
        uint64_t limb = low < from_count ? from[low] >> rest : 0;
        if (rest != 0 && low + 1 < from_count)
            limb |= from[low + 1] << (64 - rest);
        to[i] = limb;
    }
}

static int bit_length(const uint64_t *limbs, int count)
{
    for (int i = count - 1; i >= 0; i--)
        if (limbs[i] != 0)
            return 64 * i + 64 - __builtin_clzll(limbs[i]);
    return 0;
}

/* The target of a compact form; false if it is not canonical or zero. */
static bool expand(uint32_t compact, struct number *target)
{
    uint32_t phi = compact >> 24, theta = compact & 0xffffffu;
    memset(target, 0, sizeof *target);
    if (phi < 4 || phi > MAX_EXPONENT || theta == 0 || (phi > 4 && theta < 1u << 16))
        return false;
    unsigned bits = 8 * (phi - 4);
    target->limb[bits / 64] = (uint64_t)theta << bits % 64;
    if (bits % 64 > 40 && bits / 64 + 1 < LIMBS)
        target->limb[bits / 64 + 1] = (uint64_t)theta >> (64 - bits % 64);
    return true;
}

/* The compact form of the largest representable target that is at most this one. */
static uint32_t compress(const struct number *target)
{
    int bits = bit_length(target->limb, LIMBS);
    unsigned excess = bits > 24 ? (unsigned)(bits - 24 + 7) / 8 : 0;
    uint64_t theta;
    shift_right(target->limb, LIMBS, 8 * excess, &theta, 1);
    return (4 + excess) << 24 | (uint32_t)theta;
}

static struct number asert(const struct number *anchor, const struct number *limit,
                           int64_t seconds, uint32_t half_life)
{
    /* C's division rounds toward zero, as the specification asks; its shift of a negative
     * number rounds down with every compiler that this is built with. */
    int64_t exponent = seconds * 65536 / (int64_t)half_life;
    int64_t shifts = exponent >> 16;
    uint64_t f = (uint64_t)exponent & 0xffffu;
    /* At f = 65535 the sum is just below 2^64. */
    uint64_t factor = 65536u
        + ((195766423245049u * f + 971821376u * f * f + 5127u * f * f * f + ((uint64_t)1 << 47))
           >> 48);
    uint64_t scaled[WIDE_LIMBS];
    uint128 carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        carry += (uint128)anchor->limb[i] * factor;
        scaled[i] = (uint64_t)carry;
        carry >>= 64;
    }
    scaled[LIMBS] = (uint64_t)carry;
    if (shifts > 512)
        shifts = 512;
    if (shifts < -512)
        shifts = -512;
    int left = (int)shifts - 16;
    if (left > 0 && bit_length(scaled, WIDE_LIMBS) + left > 256)
        return *limit;
    uint64_t moved[WIDE_LIMBS] = {0};
    if (left <= 0) {
        shift_right(scaled, WIDE_LIMBS, (unsigned)-left, moved, WIDE_LIMBS);
    } else {
        for (int i = LIMBS - 1; i >= left / 64; i--) {
            moved[i] = scaled[i - left / 64] << left % 64;
            if (left % 64 != 0 && i - left / 64 > 0)
                moved[i] |= scaled[i - left / 64 - 1] >> (64 - left % 64);
        }
    }
    struct number target;
    memcpy(target.limb, moved, sizeof target.limb);
    if (moved[LIMBS] != 0 || compare(&target, limit) > 0)
        return *limit;
    if (bit_length(target.limb, LIMBS) == 0)
        target.limb[0] = 1;
    return target;
}

bool edgenode_is_target(uint32_t compact)
{
    struct number target;
    return expand(compact, &target);
}

void edgenode_asert(const uint8_t anchor[EDGENODE_RUN_HASH_BYTES],
                    const uint8_t limit[EDGENODE_RUN_HASH_BYTES],
                    int64_t seconds, uint32_t half_life,
                    uint8_t target[EDGENODE_RUN_HASH_BYTES])
{
    struct number from = load(anchor), most = load(limit);
    struct number next = asert(&from, &most, seconds, half_life);
    store(&next, target);
}

/* floor(2^256 / divisor) for a divisor of at least 2, bit by bit. */
static struct number divide_power(const struct number *divisor)
{
    struct number quotient = {{0}}, rest = {{1}};
    for (int bit = 255; bit >= 0; bit--) {
        bool over = rest.limb[LIMBS - 1] >> 63;
        for (int i = LIMBS - 1; i > 0; i--)
            rest.limb[i] = rest.limb[i] << 1 | rest.limb[i - 1] >> 63;
        rest.limb[0] <<= 1;
        if (over || compare(&rest, divisor) >= 0) {
            uint64_t borrow = 0;
            for (int i = 0; i < LIMBS; i++) {
                uint128 difference = (uint128)rest.limb[i] - divisor->limb[i] - borrow;
                rest.limb[i] = (uint64_t)difference;
                borrow = (uint64_t)(difference >> 64) & 1;
            }
            quotient.limb[bit / 64] |= (uint64_t)1 << bit % 64;
        }
    }
    return quotient;
}

/* floor(2^256 / (target + 1)) for theta * 2^bits, a canonical target. */
static struct number work_of(const struct number *target, uint32_t theta, unsigned bits)
{
    if (bit_length(target->limb, LIMBS) <= 129) {
        struct number above = *target; /* no target is 2^256 - 1: the sum fits */
        for (int i = 0; ++above.limb[i] == 0; i++)
            ;
        return divide_power(&above);
    }
    /* 2^256 / target first, by long division through a divisor of 24 bits: its quotient q and
     * rest r say 2^256 = q * (target + 1) + (r - q). Above 2^128 the target is larger than q, so
     * the quotient sought is q, or q - 1 if r < q. Below, r = digit rest * 2^bits. */
    struct number q = {{0}};
    uint64_t rest = 0;
    int top = (int)(256 - bits); /* the dividend is 2^top */
    for (int word = top / 32; word >= 0; word--) {
        uint64_t dividend = rest << 32 | (word == top / 32 ? (uint64_t)1 << top % 32 : 0);
        uint64_t digit = dividend / theta;
        rest = dividend % theta;
        q.limb[word / 2] |= digit << 32 * (word % 2);
    }
    struct number r = {{0}};
    r.limb[bits / 64] = rest << bits % 64;
    if (bits % 64 > 40 && bits / 64 + 1 < LIMBS)
        r.limb[bits / 64 + 1] = rest >> (64 - bits % 64);
    if (compare(&r, &q) < 0)
        for (int i = 0; q.limb[i]-- == 0; i++)
            ;
    return q;
}

bool edgenode_total_work(const uint8_t *headers, size_t count,
                         uint8_t work[EDGENODE_RUN_HASH_BYTES])
{
    struct number total = {{0}}, one = {{0}};
    uint32_t last = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t compact = load32(headers + EDGENODE_RUN_HEADER_BYTES * i + 72);
        if (i == 0 || compact != last) {
            struct number target;
            if (!expand(compact, &target))
                return false;
            one = work_of(&target, compact & 0xffffffu, 8 * ((compact >> 24) - 4));
            last = compact;
        }
        uint64_t carry = 0;
        for (int j = 0; j < LIMBS; j++) {
            uint128 sum = (uint128)total.limb[j] + one.limb[j] + carry;
            total.limb[j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        if (carry != 0)
            return false;
    }
    store(&total, work);
    return true;
}

void edgenode_header_ids(const uint8_t *headers, size_t count, uint8_t *ids)
{
    edgenode_header_hash *hash = edgenode_fastest_header_hash();
    for (size_t i = 0; i < count; i++)
        hash(headers + EDGENODE_RUN_HEADER_BYTES * i, ids + EDGENODE_RUN_HASH_BYTES * i);
}

/* The median of the last times: the one in the middle, of an even number the later one. */
static uint32_t median(const uint32_t *times, size_t count)
{
    uint32_t sorted[EDGENODE_MEDIAN_TIMES] = {0};
    for (size_t i = 0; i < count; i++) {
        size_t place = i;
        for (; place > 0 && sorted[place - 1] > times[i]; place--)
            sorted[place] = sorted[place - 1];
        sorted[place] = times[i];
    }
    return sorted[count / 2];
}

size_t edgenode_check_run(const struct edgenode_run_rules *rules,
                          const struct edgenode_run_parent *parent,
                          const uint8_t *headers, size_t count, uint8_t *ids,
                          enum edgenode_violation *violation)
{
    struct number limit = load(rules->limit);
    uint32_t times[EDGENODE_MEDIAN_TIMES];
    size_t known = parent->known;
    memcpy(times, parent->times, known * sizeof times[0]);
    const uint8_t *previous = parent->id;
    uint32_t expected = rules->first_target, last_target = parent->target;
    bool genesis = parent->genesis;
    edgenode_header_hash *hash_header = edgenode_fastest_header_hash();
    for (size_t i = 0; i < count; i++) {
        const uint8_t *header = headers + EDGENODE_RUN_HEADER_BYTES * i;
        uint8_t *id = ids + EDGENODE_RUN_HASH_BYTES * i;
        uint32_t time = load32(header + 68), compact = load32(header + 72);
        struct number target;
        *violation = EDGENODE_NO_VIOLATION;
        if (time > rules->latest)
            *violation = EDGENODE_TIME_TOO_NEW;
        else if (memcmp(header + 4, previous, EDGENODE_RUN_HASH_BYTES) != 0)
            *violation = EDGENODE_UNLINKED;
        else if (load32(header) != VERSION)
            *violation = EDGENODE_HEADER_VERSION;
        else if (!expand(compact, &target) || compare(&target, &limit) > 0)
            *violation = EDGENODE_TARGET_FORM;
        if (*violation != EDGENODE_NO_VIOLATION)
            return i;
        if (!genesis) {
            struct number from;
            expand(last_target, &from);
            int64_t taken = (int64_t)times[known - 1] - (int64_t)times[known - 2];
            if (taken > rules->longest_step)
                taken = rules->longest_step;
            struct number next = asert(&from, &limit, taken - rules->spacing, rules->half_life);
            expected = compress(&next);
        }
        if (compact != expected) {
            *violation = EDGENODE_TARGET_VALUE;
            return i;
        }
        hash_header(header, id);
        struct number hash = load(id);
        if (compare(&hash, &target) > 0) {
            *violation = EDGENODE_PROOF_OF_WORK;
            return i;
        }
        if (time <= median(times, known)
            || (int64_t)time < (int64_t)times[known - 1] - rules->behind) {
            *violation = EDGENODE_TIME_TOO_OLD;
            return i;
        }
        if (known == EDGENODE_MEDIAN_TIMES) {
            memmove(times, times + 1, (known - 1) * sizeof times[0]);
            known--;
        }
        times[known++] = time;
        previous = id;
        last_target = compact;
        genesis = false;
    }
    *violation = EDGENODE_NO_VIOLATION;
    return count;
}
