/* Any bytes as RPyC's stream: the same frames whole or in pieces; every message is read as far as it goes, and written
 * again. The first byte chooses the pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/rpyc-exception.h"
#include "proto/rpyc-refs.h"
#include "proto/rpyc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAYLOAD_MAX = 1 << 16 };

static int hold(void *ctx, const struct rpyc_id *id)
{
	struct rpyc_ref *ref;
	struct err e;

	return rpyc_refs_add(ctx, id, &ref, &e);
}

static void read_message(const struct rpyc_frame *f, struct rpyc_refs *refs)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	struct rpyc_message m;
	struct rpyc_exception ex;
	struct rpyc_args args;
	struct rpyc_box box;
	struct rpyc_id id;
	const char *why = NULL, *name;
	size_t len;

	if (rpyc_message_parse(&m, f->payload, f->len, &why) < 0) {
		if (!why)
			abort();
		return;
	}
	if (m.type == RPYC_EXCEPTION && rpyc_exception_parse(&m, &ex, &why) == 0 &&
	    rpyc_exception_add_text(&text, &ex, 100) < 0)
		abort();
	rpyc_request_name(&m, &name, &len);
	if (rpyc_request_object(&m, &id))
		rpyc_refs_release(refs, id.class_id, id.instance_id, 1, NULL);
	if (m.type == RPYC_REQUEST && rpyc_args_open(&m.args, &args)) {
		while (rpyc_args_next(&args, &box))
			rpyc_box_each_ref(&box, RPYC_REMOTE_REF, hold, refs);
	}
	if (m.type == RPYC_REPLY && rpyc_box_next(&m.args, &box, NULL))
		rpyc_box_each_ref(&box, RPYC_REMOTE_REF, hold, refs);
}

/* Returns a sum over all frames. */
static uint64_t read_all(struct rpyc_zip *zip, const uint8_t *data, size_t size, size_t step)
{
	CLEANUP(rpyc_reader_done) struct rpyc_reader r;
	CLEANUP(rpyc_refs_done) struct rpyc_refs refs;
	uint64_t sum = 0;
	struct err e;

	rpyc_reader_init(&r, zip, PAYLOAD_MAX);
	rpyc_refs_init(&refs, 64);
	for (size_t i = 0; i < size; i += step) {
		size_t n = size - i < step ? size - i : step;
		struct rpyc_frame f;
		int rc;

		if (rpyc_reader_feed(&r, data + i, n, &e) < 0)
			abort();
		while ((rc = rpyc_reader_next(&r, &f, &e)) == 1) {
			if (f.len > PAYLOAD_MAX)
				abort();
			for (size_t k = 0; k < f.len; k++)
				sum = sum * 31 + f.payload[k] + 1;
			read_message(&f, &refs);
		}
		if (rc < 0)
			break;
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(rpyc_zip_free) struct rpyc_zip *zip = NULL;
	struct err e;

	if (size < 2 || rpyc_zip_new(&zip, &e) < 0)
		return 0;
	if (read_all(zip, data + 1, size - 1, size) !=
	    read_all(zip, data + 1, size - 1, 1 + data[0] % 64))
		abort();
	return 0;
}
