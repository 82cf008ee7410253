/* An adaptive binary range coder for differences that are mostly small (docs/ledger.md, "Coded
 * differences").
 *
 * Integers only, so every processor gives the same bytes. Numbers of 32 bits are in this
 * machine's order, at any address.
 */
#ifndef EDGENODE_RANGE_CODER_H
#define EDGENODE_RANGE_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Steps of a binary decision tree that tell how many bits a magnitude has: with k steps it has at
 * most 2^k - 1, so that numbers have 2^k bits with their sign. */
enum { EDGENODE_RANGE_STEPS_MIN = 1, EDGENODE_RANGE_STEPS_MAX = 5 };

/* Codes the numbers in at most `room` bytes; *length is how many there are. False where a
 * magnitude is too long for `steps`, or the bytes do not suffice. */
bool edgenode_range_encode(const uint8_t *numbers, size_t count, int steps, uint8_t *coded,
                           size_t room, size_t *length);

/* The inverse. False where these are not the bytes that `encode` makes of any `count` numbers. */
bool edgenode_range_decode(const uint8_t *coded, size_t length, int steps, uint8_t *numbers,
                           size_t count);

#endif
