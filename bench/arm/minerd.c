/* Tries as many nonces as the second argument says with minerd's sha2.c, which is built beside. */
#include <stdlib.h>
#include <string.h>

#include "miner.h"

static struct work_restart never;
struct work_restart *work_restart = &never;

bool fulltest(const uint32_t *hash, const uint32_t *target)
{
    return memcmp(hash, target, 32) == 0;
}

int main(int arguments, char **argument)
{
    uint32_t data[32] = {[0] = 1, [20] = 0x80000000u, [31] = 640}, target[8] = {0};
    unsigned long done;
    if (arguments != 3)
        return 2;
    return scanhash_sha256d(0, data, target, (uint32_t)strtoul(argument[2], NULL, 10) - 1, &done);
}
