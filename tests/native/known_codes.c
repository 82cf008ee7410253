/* Codes numbers, for tests on processors that Python does not run on.
 *
 * Each line of the input is a case: steps, count, and the numbers. A line of the output follows for
 * each: the code in hexadecimal, and how many of the numbers come back from it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "range_coder.h"

int main(void)
{
    int steps;
    size_t count;
    while (scanf("%d %zu", &steps, &count) == 2) {
        const size_t room = 16 + 16 * count;
        int32_t *numbers = malloc(4 * count + 4), *decoded = calloc(count + 1, 4);
        uint8_t *coded = malloc(room);
        size_t length = 0, same = 0;
        if (numbers == NULL || decoded == NULL || coded == NULL)
            return 2;
        for (size_t i = 0; i < count; i++)
            if (scanf("%" SCNd32, &numbers[i]) != 1)
                return 3;
        if (!edgenode_range_encode((uint8_t *)numbers, count, steps, coded, room, &length)
            || !edgenode_range_decode(coded, length, steps, (uint8_t *)decoded, count))
            return 4;
        for (size_t i = 0; i < length; i++)
            printf("%02x", coded[i]);
        for (size_t i = 0; i < count; i++)
            same += numbers[i] == decoded[i];
        printf(" %zu\n", same);
        free(numbers);
        free(decoded);
        free(coded);
    }
    return ferror(stdin) || fflush(stdout) != 0;
}
