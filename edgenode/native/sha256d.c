#include "sha256d.h"

#include <string.h>

static const uint32_t INITIAL[8] = {
    0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au,
    0x510e527fu, 0x9b05688cu, 0x1f83d9abu, 0x5be0cd19u,
};

static const uint32_t K[64] = {
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

static inline uint32_t rotate_right(uint32_t word, unsigned bits)
{
    return (word >> bits) | (word << (32 - bits));
}

static inline uint32_t load_big_endian(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline uint32_t load_little_endian(const uint8_t bytes[4])
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static inline uint32_t swap_bytes(uint32_t word)
{
    return word << 24 | (word << 8 & 0x00ff0000u) | (word >> 8 & 0x0000ff00u) | word >> 24;
}

/* One application of the compression function (FIPS 180-4, section 6.2.2). */
static inline void compress(uint32_t state[8], const uint32_t block[16])
{
    uint32_t w[64];
    memcpy(w, block, 16 * sizeof w[0]);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate_right(w[t - 15], 7) ^ rotate_right(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate_right(w[t - 2], 17) ^ rotate_right(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
        uint32_t sum1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
        uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + K[t] + w[t];
        uint32_t sum0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
        uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

/* The hash state after the first 64 bytes, which no nonce changes. */
static void header_midstate(const uint8_t header[EDGENODE_HEADER_BYTES], uint32_t midstate[8])
{
    uint32_t block[16];
    for (int i = 0; i < 16; i++)
        block[i] = load_big_endian(header + 4 * i);
    memcpy(midstate, INITIAL, sizeof INITIAL);
    compress(midstate, block);
}

/* The last 16 bytes of the header with SHA-256's padding; word 3 is the nonce. */
static void header_tail(const uint8_t header[EDGENODE_HEADER_BYTES], uint32_t tail[16])
{
    memset(tail, 0, 16 * sizeof tail[0]);
    for (int i = 0; i < 4; i++)
        tail[i] = load_big_endian(header + 64 + 4 * i);
    tail[4] = 0x80000000u;
    tail[15] = 8 * EDGENODE_HEADER_BYTES;
}

static inline void finish(const uint32_t midstate[8], const uint32_t tail[16], uint32_t hash[8])
{
    uint32_t second[16] = {[8] = 0x80000000u, [15] = 8 * EDGENODE_HASH_BYTES};
    memcpy(second, midstate, 8 * sizeof second[0]);
    compress(second, tail);
    memcpy(hash, INITIAL, sizeof INITIAL);
    compress(hash, second);
}

void edgenode_sha256d_header(const uint8_t header[EDGENODE_HEADER_BYTES],
                             uint8_t hash[EDGENODE_HASH_BYTES])
{
    uint32_t midstate[8], tail[16], words[8];
    header_midstate(header, midstate);
    header_tail(header, tail);
    finish(midstate, tail, words);
    for (int i = 0; i < 8; i++) {
        hash[4 * i] = (uint8_t)(words[i] >> 24);
        hash[4 * i + 1] = (uint8_t)(words[i] >> 16);
        hash[4 * i + 2] = (uint8_t)(words[i] >> 8);
        hash[4 * i + 3] = (uint8_t)words[i];
    }
}

bool edgenode_search(const uint8_t header[EDGENODE_HEADER_BYTES],
                     const uint8_t target[EDGENODE_HASH_BYTES],
                     uint32_t first, uint64_t count, uint32_t *found)
{
    uint32_t midstate[8], tail[16], limit[8];
    header_midstate(header, midstate);
    header_tail(header, tail);
    for (int i = 0; i < 8; i++)
        limit[i] = load_little_endian(target + 4 * i);

    uint64_t end = (uint64_t)first + count;
    if (count > UINT32_MAX || end > (uint64_t)UINT32_MAX + 1)
        end = (uint64_t)UINT32_MAX + 1;
    for (uint64_t nonce = first; nonce < end; nonce++) {
        uint32_t hash[8];
        tail[3] = swap_bytes((uint32_t)nonce);
        finish(midstate, tail, hash);
        /* The number's most significant word settles all but one nonce in 2^32. */
        int word = 7;
        while (word > 0 && swap_bytes(hash[word]) == limit[word])
            word--;
        if (swap_bytes(hash[word]) <= limit[word]) {
            *found = (uint32_t)nonce;
            return true;
        }
    }
    return false;
}
