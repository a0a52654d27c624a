#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"

/* FIPS 180-4 examples (csrc.nist.gov, SHA256.pdf) and the empty message. */
static const struct {
	const char *text, *hex;
} known[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
};

static void test_known_hashes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		for (size_t cut = 0; cut <= strlen(known[i].text); cut++) {
			struct sha256 s;
			char hex[65];

			sha256_init(&s);
			sha256_add(&s, known[i].text, cut);
			sha256_add(&s, known[i].text + cut, strlen(known[i].text) - cut);
			sha256_hex(&s, hex);
			assert_string_equal(hex, known[i].hex);
		}
	}
}

static void test_a_million(void **state)
{
	char piece[999], hex[65];
	struct sha256 s;
	size_t left = 1000000;

	(void)state;
	memset(piece, 'a', sizeof(piece));
	sha256_init(&s);
	for (size_t n; left; left -= n) {
		n = left < sizeof(piece) ? left : sizeof(piece);
		sha256_add(&s, piece, n);
	}
	sha256_hex(&s, hex);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_hashes),
		cmocka_unit_test(test_a_million),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
