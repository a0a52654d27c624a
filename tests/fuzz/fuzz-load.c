/* Result files: parse, check the structure, show. Whatever passes the check must be shown without trouble. */
#include <stdint.h>
#include <stdlib.h>

#include "result/load.h"
#include "result/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json_decref) json_t *root = NULL;
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct table_style style = {
		.width = 80, .utf8 = size & 1, .color = size & 2, .verbose = 1
	};
	struct err e = { 0 };

	if (load_text("input", (const char *)data, size, &root, &e) < 0 || load_check(root, &e) < 0)
		return 0;
	if (table_result(root, &style, &out, &e) < 0)
		abort();
	return 0;
}
