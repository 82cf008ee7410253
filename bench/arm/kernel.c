/* Tries as many nonces as the second argument says with the kernel that the first one names. */
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

int main(int arguments, char **argument)
{
    const uint8_t header[EDGENODE_HEADER_BYTES] = {1}, target[EDGENODE_HASH_BYTES] = {0};
    uint32_t nonce;
    for (int i = 0; arguments == 3 && i < EDGENODE_KERNELS; i++)
        if (strcmp(edgenode_kernels[i].name, argument[1]) == 0 && edgenode_kernels[i].runs_here())
            return edgenode_search(&edgenode_kernels[i], header, target, 0,
                                   strtoul(argument[2], NULL, 10), &nonce);
    return 2;
}
