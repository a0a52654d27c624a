/* Two documents, parted by a NUL: read, compared in every format, merged. Nothing may go wrong but with an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "result/diff.h"
#include "result/emit.h"
#include "result/format.h"
#include "result/limit.h"
#include "result/load.h"
#include "result/merge.h"
#include "result/single.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *read_one(const char *text, size_t len)
{
	json_t *root = NULL;
	struct err e;

	if (load_text("input", text, len, &root, &e) < 0)
		return NULL;
	if (load_check(root, &e) == 0)
		return root;
	json_decref(root);
	return NULL;
}

static void write_all(const struct report *r)
{
	const struct table_style style = { .width = 80, .verbose = 1 };
	CLEANUP(buf_done) struct buf table = BUF_INIT;
	CLEANUP(json_decref) json_t *json = NULL;
	struct err e;

	for (int f = FORMAT_MARKDOWN; f <= FORMAT_LAVA; f++) {
		const struct format_options o = { (enum format)f, BETTER_LOWER };
		CLEANUP(buf_done) struct buf out = BUF_INIT;

		if (format_report(r, &o, &out, &e) < 0)
			abort();
	}
	if (report_table(r, &style, &table, &e) < 0)
		abort();
	json = r->compared ? report_json(r, &e) : json_object();
	if (!json)
		abort();
}

static void compare(const struct side *base, const struct side *new)
{
	static const struct opt_strings any = { 1, { "*" } };
	static struct diff_rules rules;
	static const struct diff_opts defaults;
	CLEANUP(report_done) struct report report = { 0 };
	struct err e;

	if (diff_rules_parse(&rules, &defaults, &e) < 0)
		abort();
	rules.allow = &any;
	if (diff_make(base, new, &rules, &report, &e) == 0)
		write_all(&report);
}

static void judge(const json_t *a, const json_t *b)
{
	CLEANUP(side_done) struct side base = { 0 };
	CLEANUP(side_done) struct side new = { .by_name = false };
	CLEANUP(report_done) struct report report = { 0 };
	CLEANUP(json_decref) json_t *checks = json_array();
	struct limit_counts counts = { 0 };
	struct limit limit[2];
	struct err e;

	if (side_add(&base, "base", a, &e) < 0 || side_add(&new, "new", b, &e) < 0)
		return;
	compare(&base, &new);
	if (single_make(&new, b, &report, &e) == 0)
		write_all(&report);
	if (limit_parse(&limit[0], "* *.median < 5ms", &e) < 0 ||
	    limit_parse(&limit[1], "* *.median < +5%", &e) < 0 ||
	    limit_check(limit, 2, &new, &base, checks, &counts, &e) < 0)
		abort();
}

/* What has been merged must be a valid document. */
static void merge(json_t *a, json_t *b)
{
	CLEANUP(merge_done) struct merge m = { 0 };
	CLEANUP(json_decref) json_t *out = NULL;
	CLEANUP_FREE char *text = NULL;
	struct merge_facts facts;
	struct err e;
	size_t len;

	if (merge_add(&m, "a", json_incref(a), &e) < 0 ||
	    merge_add(&m, "b", json_incref(b), &e) < 0 || merge_finish(&m, 0, &out, &facts, &e) < 0)
		return;
	if (emit_text(out, &text, &len, &e) < 0 || load_check(out, &e) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *cut = memchr(data, 0, size);
	size_t first = cut ? (size_t)(cut - text) : size;
	CLEANUP(json_decref) json_t *a = read_one(text, first);
	CLEANUP(json_decref)
	json_t *b = cut ? read_one(cut + 1, size - first - 1) : json_deep_copy(a);

	if (!a || !b)
		return 0;
	judge(a, b);
	merge(a, b);
	return 0;
}
