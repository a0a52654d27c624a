/* sha256 - content verification (FIPS 180-4) */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t total;
	uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
/* Lower-case hex and NUL; s is used up. */
void sha256_hex(struct sha256 *s, char out[65]);
