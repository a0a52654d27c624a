/* Histories of mpbench watch: lines are read, those that pass make a trend and are shown. What was read can be written and
 * read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "result/emit.h"
#include "result/entry.h"
#include "result/history.h"
#include "result/load.h"
#include "result/trend.h"
#include "result/watcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct history *h, unsigned how)
{
	CLEANUP(trend_done) struct trend t = { 0 };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	CLEANUP(json_decref) json_t *root = NULL;
	CLEANUP_FREE char *text = NULL;
	const struct trend_options o = { .all = true, .magnitude = 0.03 };
	const struct table_style style = {
		.width = 80, .utf8 = how & 1, .color = how & 2, .verbose = 1
	};
	struct err e;
	size_t len;

	if (trend_make(h, &o, &t, &e) < 0)
		return;
	root = trend_json(&t, &o, &e);
	if (trend_table(&t, &style, &out, &e) < 0 || !root || emit_text(root, &text, &len, &e) < 0)
		abort();
}

static void write_back(const char *data, size_t size)
{
	CLEANUP(json_decref) json_t *entry = NULL, *again = NULL;
	CLEANUP_FREE char *line = NULL;
	struct err e;

	if (load_text("input", data, size, &entry, &e) < 0 || entry_check(entry, &e) < 0)
		return;
	line = entry_line(entry, &e);
	if (!line || strchr(line, '\n') || load_text("line", line, strlen(line), &again, &e) < 0 ||
	    entry_check(again, &e) < 0)
		abort();
}

/* A watcher that goes on from it, finds the target down, and shows what it has. */
static void go_on(const char *data, size_t size)
{
	static struct watcher w;
	CLEANUP_FREE char *line = NULL;
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct table_style style = { .width = 80 };
	const struct watch_run run = { .at_ns = INT64_C(1800000000) * 1000000000,
				       .exit_status = 4,
				       .message = "gone" };
	struct err e;

	w = (struct watcher){ 0 };
	if (watcher_resume(&w, "input", data, size, &e) < 0 ||
	    watcher_take(&w, &run, &line, &e) < 0 ||
	    watcher_screen(
		    &w,
		    &(struct watch_screen){ .style = &style, .rows = 24, .head = "", .now = "" },
		    &out) < 0 ||
	    watcher_summary(&w, &style, 1, &out) < 0)
		abort();
	watcher_done(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(history_done) struct history h = { 0 };
	struct err e;

	write_back((const char *)data, size);
	go_on((const char *)data, size);
	if (history_add_lines(&h, "input", (const char *)data, size, &e) < 0)
		return 0;
	if (history_sort(&h, &e) < 0)
		abort();
	show(&h, size & 3);
	history_keep_last(&h, 3);
	show(&h, size & 3);
	return 0;
}
