/* What minerd's sha2.c takes from its own miner.h, so that it can be built without curl. */
#include <stdbool.h>
#include <stdint.h>

struct work_restart {
    volatile unsigned long restart;
};
extern struct work_restart *work_restart;

static inline uint32_t swab32(uint32_t word)
{
    return __builtin_bswap32(word);
}

static inline uint32_t be32dec(const void *bytes)
{
    uint32_t word;
    __builtin_memcpy(&word, bytes, sizeof word);
    return __builtin_bswap32(word);
}

static inline void be32enc(void *bytes, uint32_t word)
{
    word = __builtin_bswap32(word);
    __builtin_memcpy(bytes, &word, sizeof word);
}

bool fulltest(const uint32_t *hash, const uint32_t *target);
int scanhash_sha256d(int thread, uint32_t *data, const uint32_t *target, uint32_t last,
                     unsigned long *done);
