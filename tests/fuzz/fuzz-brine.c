/* Any bytes as a brine value: no read outside of them; what is accepted is written again in rpyc's form, which is stable;
 * what is printed can be read; and any text as a literal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/brine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct brine_reader r, struct buf *out)
{
	struct brine_item item;

	while (brine_next(&r, &item)) {
		if (brine_put_item(out, &item) < 0)
			abort();
	}
}

static void as_value(const uint8_t *data, size_t size)
{
	CLEANUP(buf_done) struct buf once = BUF_INIT;
	CLEANUP(buf_done) struct buf twice = BUF_INIT;
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct brine_reader r, all;
	const char *why = NULL;
	size_t rest;

	if (brine_open(&r, data, size, &rest, &why) < 0) {
		if (!why)
			abort();
		return;
	}
	all = r;
	write_again(r, &once);
	if (!brine_value(&all, NULL) || all.at != all.end ||
	    brine_open(&r, once.data, once.len, &rest, &why) < 0 || rest != 0)
		abort();
	write_again(r, &twice);
	if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
		abort();
	if (brine_add_text(&text, &r, 200) < 0 || text.len > 200)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	struct brine_reader r;
	const char *why = NULL;

	as_value(data, size);
	if (brine_parse(&b, (const char *)data, size, &why) == 0) {
		if (brine_open(&r, b.data, b.len, NULL, &why) < 0)
			abort();
		as_value((const uint8_t *)b.data, b.len);
	}
	return 0;
}
