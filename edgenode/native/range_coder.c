#include "range_coder.h"

#include <string.h>

/* The carry-propagating range coder of LZMA (I. Pavlov), whose first byte, always 0, is left out.
 * A probability learns from its n-th bit by 1 / (n + 1.5), as Krichevsky and Trofimov estimate,
 * and from the 60th on by that of the 60th: a model's update is short, and has layers. So it stays
 * between 61 and 65474: rounding stops it there, and neither bit ever has no part of the range. */

enum {
    SLOWEST = 60,
    ONE = 65535,          /* about 1, as a probability */
    PRECISION = 15,       /* bits of a probability that divide the range */
    FLUSH_BYTES = 4,      /* what a decoder reads ahead */
    RAW_AT_ONCE = 16,
    CLASSES = 32,         /* lengths of a magnitude in bits, from 0 on */
    BELOW_LEADING = 3,    /* the bit below the leading one, then the next after 0 and after 1 */
};

static const uint32_t RENORMALISE_BELOW = 1u << 24;

typedef struct {
    uint16_t zero; /* how probable a 0 is, of 65536 */
    uint16_t seen;
} probability;

typedef struct {
    probability length[CLASSES];
    probability below[CLASSES][BELOW_LEADING];
    uint16_t rates[SLOWEST + 1];
} model;

static void begin(model *m)
{
    const probability even = {1u << 15, 0};
    for (int i = 0; i < CLASSES; i++) {
        m->length[i] = even;
        for (int j = 0; j < BELOW_LEADING; j++)
            m->below[i][j] = even;
    }
    for (uint32_t n = 0; n <= SLOWEST; n++)
        m->rates[n] = (uint16_t)(131072 / (2 * n + 3));
}

/* The part of the range that stands for a 0. */
static uint32_t bound_of(const probability *p, uint32_t range)
{
    return (range >> PRECISION) * (uint32_t)(p->zero >> 1);
}

static void learn(const model *m, probability *p, bool bit)
{
    const uint32_t rate = m->rates[p->seen];
    if (bit)
        p->zero = (uint16_t)(p->zero - (p->zero * rate >> 16));
    else
        p->zero = (uint16_t)(p->zero + ((ONE - p->zero) * rate >> 16));
    if (p->seen < SLOWEST)
        p->seen++;
}

static int bits_of(uint32_t magnitude)
{
    return magnitude == 0 ? 0 : 32 - __builtin_clz(magnitude);
}

/* Encoding */

typedef struct {
    uint64_t low; /* below 2^33: bit 32 is a carry */
    uint32_t range;
    uint8_t held; /* the last byte that a carry may still change, and how many 255 follow it */
    size_t after;
    bool begun;
    uint8_t *out;
    size_t room, length;
} encoder;

static void put(encoder *e, uint8_t byte)
{
    if (e->length < e->room)
        e->out[e->length] = byte;
    e->length++;
}

/* Moves the highest of the four bytes of `low` out. */
static void shift_low(encoder *e)
{
    const uint8_t carry = (uint8_t)(e->low >> 32);
    const uint8_t top = (uint8_t)(e->low >> 24);
    if (carry != 0 || top != 0xFF) {
        if (e->begun)
            put(e, (uint8_t)(e->held + carry));
        e->begun = true;
        for (; e->after > 0; e->after--)
            put(e, (uint8_t)(0xFF + carry));
        e->held = top;
    } else {
        e->after++;
    }
    e->low = (e->low & 0x00FFFFFF) << 8;
}

static void renormalise_encoder(encoder *e)
{
    while (e->range < RENORMALISE_BELOW) {
        e->range <<= 8;
        shift_low(e);
    }
}

static void put_bit(encoder *e, const model *m, probability *p, bool bit)
{
    const uint32_t bound = bound_of(p, e->range);
    if (bit) {
        e->low += bound;
        e->range -= bound;
    } else {
        e->range = bound;
    }
    learn(m, p, bit);
    renormalise_encoder(e);
}

/* The lowest `bits` of the value, each as likely 0 as 1. */
static void put_raw(encoder *e, uint32_t value, int bits)
{
    while (bits > 0) {
        const int now = bits < RAW_AT_ONCE ? bits : RAW_AT_ONCE;
        bits -= now;
        e->range >>= now;
        e->low += (uint64_t)e->range * (value >> bits & ((1u << now) - 1));
        renormalise_encoder(e);
    }
}

static void put_number(encoder *e, model *m, int32_t number, int steps)
{
    const uint32_t magnitude = number < 0 ? -(uint32_t)number : (uint32_t)number;
    const int length = bits_of(magnitude);
    unsigned node = 1;
    for (int step = steps - 1; step >= 0; step--) {
        const bool bit = length >> step & 1;
        put_bit(e, m, &m->length[node], bit);
        node = 2 * node + bit;
    }
    if (length == 0)
        return;
    put_raw(e, number < 0, 1);
    int left = length - 1;
    unsigned context = 0;
    for (int depth = 0; depth < 2 && left > 0; depth++) {
        const bool bit = magnitude >> --left & 1;
        put_bit(e, m, &m->below[length][context], bit);
        context = 1u + bit;
    }
    put_raw(e, magnitude, left);
}

bool edgenode_range_encode(const uint8_t *numbers, size_t count, int steps, uint8_t *coded,
                           size_t room, size_t *length)
{
    model m;
    begin(&m);
    encoder e = {.range = UINT32_MAX, .out = coded, .room = room};
    for (size_t i = 0; i < count; i++) {
        int32_t number;
        memcpy(&number, numbers + 4 * i, sizeof number);
        if (number == INT32_MIN || bits_of((uint32_t)(number < 0 ? -number : number)) >> steps)
            return false;
        put_number(&e, &m, number, steps);
    }
    for (int i = 0; i < FLUSH_BYTES + 1; i++)
        shift_low(&e);
    *length = e.length;
    return e.length <= room;
}

/* Decoding: `ahead` is what was read less the encoder's `low`, so that it is 0 at the end. */

typedef struct {
    const uint8_t *next, *end;
    uint32_t range, ahead;
    bool bad;
} decoder;

static uint8_t take(decoder *d)
{
    if (d->next == d->end) {
        d->bad = true;
        return 0;
    }
    return *d->next++;
}

static void renormalise_decoder(decoder *d)
{
    while (d->range < RENORMALISE_BELOW) {
        d->range <<= 8;
        d->ahead = d->ahead << 8 | take(d);
    }
}

static bool take_bit(decoder *d, const model *m, probability *p)
{
    const uint32_t bound = bound_of(p, d->range);
    const bool bit = d->ahead >= bound;
    if (bit) {
        d->ahead -= bound;
        d->range -= bound;
    } else {
        d->range = bound;
    }
    learn(m, p, bit);
    renormalise_decoder(d);
    return bit;
}

static uint32_t take_raw(decoder *d, int bits)
{
    uint32_t value = 0;
    while (bits > 0) {
        const int now = bits < RAW_AT_ONCE ? bits : RAW_AT_ONCE;
        bits -= now;
        d->range >>= now;
        uint32_t part = d->ahead / d->range;
        if (part >> now) { /* no encoder comes here: a division leaves a little of the range */
            d->bad = true;
            part = 0;
        }
        d->ahead -= part * d->range;
        value = value << now | part;
        renormalise_decoder(d);
    }
    return value;
}

static int32_t take_number(decoder *d, model *m, int steps)
{
    unsigned node = 1;
    for (int step = 0; step < steps; step++)
        node = 2 * node + take_bit(d, m, &m->length[node]);
    const int length = (int)(node - (1u << steps));
    if (length == 0)
        return 0;
    const bool negative = take_raw(d, 1);
    uint32_t magnitude = 1;
    int left = length - 1;
    unsigned context = 0;
    for (int depth = 0; depth < 2 && left > 0; depth++, left--) {
        const bool bit = take_bit(d, m, &m->below[length][context]);
        magnitude = 2 * magnitude + bit;
        context = 1u + bit;
    }
    magnitude = magnitude << left | take_raw(d, left);
    return negative ? -(int32_t)magnitude : (int32_t)magnitude;
}

bool edgenode_range_decode(const uint8_t *coded, size_t length, int steps, uint8_t *numbers,
                           size_t count)
{
    model m;
    begin(&m);
    decoder d = {.next = coded, .end = coded + length, .range = UINT32_MAX};
    for (int i = 0; i < FLUSH_BYTES; i++)
        d.ahead = d.ahead << 8 | take(&d);
    for (size_t i = 0; i < count && !d.bad; i++) {
        const int32_t number = take_number(&d, &m, steps);
        memcpy(numbers + 4 * i, &number, sizeof number);
    }
    return !d.bad && d.next == d.end && d.ahead == 0;
}
