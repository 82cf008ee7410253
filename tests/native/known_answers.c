/* Searches with every kernel that runs here, for tests on processors that Python does not run on.
 *
 * Each line of the input is a search: header and target in hexadecimal, first nonce, count. The
 * output begins with the names of the kernels that run here, in a line. A line for each search
 * follows: what each of them found, in that order, or "none", and the header's id.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "header_run.h"
#include "kernels.h"

#if defined(WITHOUT_SHA2)
#include <sys/auxv.h>

/* The linker sends the kernels' questions here (--wrap=getauxval): the answers of a processor that
 * lacks the SHA-256 instructions, as a Raspberry Pi 4 does and none of QEMU's does. */
unsigned long __real_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type);
unsigned long __wrap_getauxval(unsigned long type)
{
    unsigned long value = __real_getauxval(type);
    return type == AT_HWCAP ? value & ~(unsigned long)HWCAP_SHA2 : value;
}
#endif

static void decode(const char *hexadecimal, uint8_t *bytes, int count)
{
    for (int i = 0; i < count; i++) {
        const char digits[3] = {hexadecimal[2 * i], hexadecimal[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

int main(void)
{
    char header_text[161], target_text[65];
    uint32_t first;
    uint64_t count;
    for (int i = 0; i < EDGENODE_KERNELS; i++)
        if (edgenode_kernels[i].runs_here())
            printf("%s ", edgenode_kernels[i].name);
    printf("\n");
    while (scanf("%160s %64s %" SCNu32 " %" SCNu64, header_text, target_text, &first, &count)
           == 4) {
        uint8_t header[EDGENODE_HEADER_BYTES], target[EDGENODE_HASH_BYTES];
        decode(header_text, header, sizeof header);
        decode(target_text, target, sizeof target);
        for (int i = 0; i < EDGENODE_KERNELS; i++) {
            uint32_t nonce;
            if (!edgenode_kernels[i].runs_here())
                continue;
            if (edgenode_search(&edgenode_kernels[i], header, target, first, count, &nonce))
                printf("%" PRIu32 " ", nonce);
            else
                printf("none ");
        }
        uint8_t id[EDGENODE_HASH_BYTES];
        edgenode_header_ids(header, 1, id);
        for (size_t i = 0; i < sizeof id; i++)
            printf("%02x", id[i]);
        printf("\n");
    }
    return ferror(stdin) || fflush(stdout) != 0;
}
