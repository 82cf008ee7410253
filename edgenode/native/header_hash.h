/* SHA-256(SHA-256(header)) of one header after the other, with the processor's SHA instructions
 * where it has them. */
#ifndef EDGENODE_HEADER_HASH_H
#define EDGENODE_HEADER_HASH_H

#include <stdint.h>

/* Writes the 32 bytes of SHA-256(SHA-256(header)) of 80 bytes. */
typedef void edgenode_header_hash(const uint8_t *header, uint8_t *hash);

/* The fastest way that this processor has; it is asked once. */
edgenode_header_hash *edgenode_fastest_header_hash(void);

#endif
