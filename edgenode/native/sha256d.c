#include "sha256d.h"

#include "sha256.h"

static void header_midstate(const uint8_t header[EDGENODE_HEADER_BYTES], uint32_t midstate[8])
{
    uint32_t block[16];
    for (int i = 0; i < 16; i++)
        block[i] = edgenode_load_big_endian(header + 4 * i);
    memcpy(midstate, EDGENODE_SHA256_INITIAL, sizeof EDGENODE_SHA256_INITIAL);
    edgenode_compress(midstate, block);
}

/* The hash from the midstate and the four words that follow it. */
static void finish(const uint32_t midstate[8], const uint32_t tail[3], uint32_t nonce_word,
                   uint32_t hash[8])
{
    const uint32_t first[16] = {
        tail[0], tail[1], tail[2], nonce_word,
        EDGENODE_SHA256_END, [15] = EDGENODE_SHA256_HEADER_BITS,
    };
    uint32_t second[16] = {[8] = EDGENODE_SHA256_END, [15] = EDGENODE_SHA256_HASH_BITS};
    memcpy(second, midstate, 8 * sizeof second[0]);
    edgenode_compress(second, first);
    memcpy(hash, EDGENODE_SHA256_INITIAL, sizeof EDGENODE_SHA256_INITIAL);
    edgenode_compress(hash, second);
}

void edgenode_sha256d_header(const uint8_t header[EDGENODE_HEADER_BYTES],
                             uint8_t hash[EDGENODE_HASH_BYTES])
{
    uint32_t midstate[8], tail[4], words[8];
    header_midstate(header, midstate);
    for (int i = 0; i < 4; i++)
        tail[i] = edgenode_load_big_endian(header + 64 + 4 * i);
    finish(midstate, tail, tail[3], words);
    for (int i = 0; i < 8; i++)
        edgenode_store_big_endian(words[i], hash + 4 * i);
}

static void prepare_first(edgenode_job *job)
{
    const uint32_t block[16] = {
        job->tail[0], job->tail[1], job->tail[2], 0,
        EDGENODE_SHA256_END, [15] = EDGENODE_SHA256_HEADER_BITS,
    };
    uint32_t *state = job->after_nonce, *keys = job->first_keys, *words = job->first_words;
    memcpy(state, job->midstate, sizeof job->midstate);
    edgenode_rounds(state, block, 0, 4);

    /* Word t is words t - 16 and t - 7 with sigma0 of word t - 15 and sigma1 of word t - 2. The
     * nonce is in word 3, so in words 18, 19, and in all from 20 on by sigma1 of these. */
    memset(words, 0, sizeof job->first_words);
    words[0] = block[0] + edgenode_sigma0(block[1]) + block[9] + edgenode_sigma1(block[14]);
    words[1] = block[1] + edgenode_sigma0(block[2]) + block[10] + edgenode_sigma1(block[15]);
    words[2] = block[2] + block[11] + edgenode_sigma1(words[0]);
    words[3] = edgenode_sigma0(block[4]) + block[12] + edgenode_sigma1(words[1]);
    words[4] = block[4] + edgenode_sigma0(block[5]) + block[13];
    words[6] = block[6] + edgenode_sigma0(block[7]) + block[15];
    words[14] = block[14] + edgenode_sigma0(block[15]);
    words[15] = block[15] + edgenode_sigma0(words[0]);

    memcpy(keys, EDGENODE_SHA256_K, sizeof job->first_keys);
    for (int t = 4; t < 16; t++)
        keys[t] += block[t];
    keys[16] += words[0];
    keys[17] += words[1];
    for (int t = 4; t < 7; t++)
        keys[t] += state[11 - t]; /* h, then what was g and f */
}

static void prepare_second(edgenode_job *job)
{
    const uint32_t block[16] = {[8] = EDGENODE_SHA256_END, [15] = EDGENODE_SHA256_HASH_BITS};
    uint32_t *state = job->after_word, *keys = job->second_keys;
    memcpy(state, EDGENODE_SHA256_INITIAL, sizeof EDGENODE_SHA256_INITIAL);
    edgenode_rounds(state, block, 0, 1);
    memcpy(job->second_padding, block + 8, sizeof job->second_padding);
    keys[0] = 0;
    for (int t = 1; t < 16; t++)
        keys[t] = EDGENODE_SHA256_K[t] + block[t];
    for (int t = 1; t < 4; t++)
        keys[t] += state[8 - t]; /* h, then what was g and f */
}

void edgenode_job_prepare(edgenode_job *job, const uint8_t header[EDGENODE_HEADER_BYTES],
                          const uint8_t target[EDGENODE_HASH_BYTES])
{
    header_midstate(header, job->midstate);
    for (int i = 0; i < 3; i++)
        job->tail[i] = edgenode_load_big_endian(header + 64 + 4 * i);
    for (int i = 0; i < 8; i++)
        job->limit[i] = edgenode_load_little_endian(target + 4 * i);
    prepare_first(job);
    prepare_second(job);
}

bool edgenode_job_meets(const edgenode_job *job, uint32_t nonce)
{
    uint32_t hash[8];
    finish(job->midstate, job->tail, edgenode_swap_bytes(nonce), hash);
    int word = 7;
    while (word > 0 && edgenode_swap_bytes(hash[word]) == job->limit[word])
        word--;
    return edgenode_swap_bytes(hash[word]) <= job->limit[word];
}
