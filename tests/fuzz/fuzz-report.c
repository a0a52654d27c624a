/* Reports of hostile result files: whatever passes the check must be shown in every form, escaped, and harm nobody. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "picture/page.h"
#include "picture/paper.h"
#include "result/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the page may hold: no element that runs or fetches, no control character, no number that is none in a path. */
static void check_page(const struct buf *out)
{
	static const char *const never[] = { "<script",	 "<img",    "<a href=\"j", "<iframe",
					     "<link",	 "\x1b",    "\u202e",	   "d=\"Mnan",
					     "=\"nan\"", "=\"inf\"" };

	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		if (strstr(buf_text(out), never[i]))
			abort();
	for (size_t i = 0; i < out->len; i++)
		if ((unsigned char)out->data[i] < ' ' && out->data[i] != '\n')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "a.json", "b.json" };
	static const struct diff_opts none;
	CLEANUP(json_decref) json_t *root = NULL;
	CLEANUP(study_done) struct study s = { 0 };
	CLEANUP(buf_done) struct buf page = BUF_INIT, markdown = BUF_INIT, text = BUF_INIT;
	CLEANUP_FREE struct diff_rules *rules = malloc(sizeof(*rules));
	const struct table_style style = { .width = 80, .utf8 = size & 1, .verbose = 1 };
	json_t *roots[2];
	struct err e = { 0 };

	if (!rules || diff_rules_parse(rules, &none, &e) < 0)
		abort();
	if (load_text("input", (const char *)data, size, &root, &e) < 0 || load_check(root, &e) < 0)
		return 0;
	roots[0] = roots[1] = root;
	/* Every other one is compared with itself. */
	if (study_make(&s, names, roots, 1 + (size & 1), rules, &e) < 0)
		return 0;
	if (page_html(&s, &page, &e) < 0 || paper_markdown(&s, &markdown, &e) < 0 ||
	    paper_text(&s, &style, &text, &e) < 0)
		abort();
	check_page(&page);
	return 0;
}
