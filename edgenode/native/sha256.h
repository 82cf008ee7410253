/* SHA-256 (FIPS 180-4) on words: the constants, the functions of a round, one compression.
 *
 * Internal to this room: what the kernels, the header hash and whoever else needs single blocks
 * share. Portable C; nothing here allocates or keeps state.
 */
#ifndef EDGENODE_SHA256_H
#define EDGENODE_SHA256_H

#include <stdint.h>
#include <string.h>

/* The hash value before the first block (section 5.3.3). */
static const uint32_t EDGENODE_SHA256_INITIAL[8] = {
    0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
    0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
};

/* The constants of the 64 rounds (section 4.2.2). */
static const uint32_t EDGENODE_SHA256_K[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u,
    0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu,
    0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu,
    0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u,
    0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu,
    0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
    0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u, 0x19a4c116u,
    0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u,
    0xc67178f2u,
};

/* The bit that ends a message, and the lengths in bits that the padding of ours ends with. */
#define EDGENODE_SHA256_END 0x80000000u
#define EDGENODE_SHA256_HEADER_BITS 640u
#define EDGENODE_SHA256_HASH_BITS 256u

static inline uint32_t edgenode_rotate_right(uint32_t word, unsigned bits)
{
    return (word >> bits) | (word << (32 - bits));
}

/* The functions of section 4.1.2: big sigmas mix the state, small ones the message. */
static inline uint32_t edgenode_sum0(uint32_t a)
{
    return edgenode_rotate_right(a, 2) ^ edgenode_rotate_right(a, 13)
           ^ edgenode_rotate_right(a, 22);
}

static inline uint32_t edgenode_sum1(uint32_t e)
{
    return edgenode_rotate_right(e, 6) ^ edgenode_rotate_right(e, 11)
           ^ edgenode_rotate_right(e, 25);
}

static inline uint32_t edgenode_sigma0(uint32_t w)
{
    return edgenode_rotate_right(w, 7) ^ edgenode_rotate_right(w, 18) ^ w >> 3;
}

static inline uint32_t edgenode_sigma1(uint32_t w)
{
    return edgenode_rotate_right(w, 17) ^ edgenode_rotate_right(w, 19) ^ w >> 10;
}

static inline uint32_t edgenode_choose(uint32_t e, uint32_t f, uint32_t g)
{
    return g ^ (e & (f ^ g));
}

static inline uint32_t edgenode_majority(uint32_t a, uint32_t b, uint32_t c)
{
    /* a ^ b is b ^ c of the next round: a compiler that sees both computes it once. */
    return b ^ ((a ^ b) & (b ^ c));
}

static inline uint32_t edgenode_load_big_endian(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline uint32_t edgenode_load_little_endian(const uint8_t bytes[4])
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static inline void edgenode_store_big_endian(uint32_t word, uint8_t bytes[4])
{
    bytes[0] = (uint8_t)(word >> 24);
    bytes[1] = (uint8_t)(word >> 16);
    bytes[2] = (uint8_t)(word >> 8);
    bytes[3] = (uint8_t)word;
}

static inline uint32_t edgenode_swap_bytes(uint32_t word)
{
    return word << 24 | (word << 8 & 0x00ff0000u) | (word >> 8 & 0x0000ff00u) | word >> 24;
}

/* Rounds `from` to `to` - 1 of section 6.2.2, step 3; w are the words that they use. */
static inline void edgenode_rounds(uint32_t state[8], const uint32_t *w, int from, int to)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = from; t < to; t++) {
        uint32_t t1 = h + edgenode_sum1(e) + edgenode_choose(e, f, g) + EDGENODE_SHA256_K[t] + w[t];
        uint32_t t2 = edgenode_sum0(a) + edgenode_majority(a, b, c);
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] = a;
    state[1] = b;
    state[2] = c;
    state[3] = d;
    state[4] = e;
    state[5] = f;
    state[6] = g;
    state[7] = h;
}

/* One application of the compression function (section 6.2.2). */
static inline void edgenode_compress(uint32_t state[8], const uint32_t block[16])
{
    uint32_t w[64], mixed[8];
    memcpy(w, block, 16 * sizeof w[0]);
    for (int t = 16; t < 64; t++)
        w[t] = w[t - 16] + edgenode_sigma0(w[t - 15]) + w[t - 7] + edgenode_sigma1(w[t - 2]);
    memcpy(mixed, state, sizeof mixed);
    edgenode_rounds(mixed, w, 0, 64);
    for (int i = 0; i < 8; i++)
        state[i] += mixed[i];
}

#endif
