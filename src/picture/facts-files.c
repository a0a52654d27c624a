/* What each file says about itself: command, targets, machine, configuration. */
#include <math.h>
#include <string.h>

#include "picture/facts.h"
#include "result/escape.h"
#include "result/view.h"

enum { WORDS_SHOWN = 200, TARGETS_SHOWN = 32, OPTIONS_SHOWN = 120 };

static void term(struct buf *out, const char *name, const char *text)
{
	if (!*text)
		return;
	buf_addf(out, "<dt>%s<dd>", name);
	escape_html(out, text);
	buf_addc(out, '\n');
}

/* A text that was put together; its failure becomes the page's. */
static void term_of(struct buf *out, const char *name, struct buf *text)
{
	out->failed = out->failed || text->failed;
	term(out, name, buf_text(text));
}

static void command(const json_t *root, struct buf *out)
{
	const json_t *argv = json_object_get(json_object_get(root, "command"), "argv"), *word;
	size_t i;

	buf_adds(out, "<dt>command<dd><code>");
	json_array_foreach(argv, i, word)
	{
		if (i == WORDS_SHOWN)
			break;
		buf_adds(out, i ? " " : "");
		escape_html(out, json_string_value(word));
	}
	buf_adds(out, "</code>\n");
}

static void targets(const json_t *root, struct buf *out)
{
	const json_t *target;
	size_t i;

	json_array_foreach(json_object_get(root, "targets"), i, target)
	{
		json_t *identity = json_object_get(target, "identity"), *value;
		const char *key;

		if (i == TARGETS_SHOWN)
			break;
		buf_adds(out, "<dt>target<dd><b><bdi>");
		escape_html(out, view_text(target, "label"));
		buf_adds(out, "</bdi></b> <code>");
		escape_html(out, view_text(target, "url"));
		buf_adds(out, "</code>");
		json_object_foreach(identity, key, value)
		{
			if (!json_is_string(value) || !*json_string_value(value))
				continue;
			buf_adds(out, "; ");
			escape_html(out, key);
			buf_adds(out, ": <bdi>");
			escape_html(out, json_string_value(value));
			buf_adds(out, "</bdi>");
		}
		buf_addc(out, '\n');
	}
}

static bool is_said(const json_t *value)
{
	return !json_is_null(value) && !json_is_false(value) &&
	       !(json_is_array(value) && json_array_size(value) == 0) &&
	       !(json_is_number(value) && fpclassify(json_number_value(value)) == FP_ZERO);
}

/* Options that say anything; those that are off or not given are left out. */
static void options(const json_t *root, const char *part, const char *name, struct buf *out)
{
	json_t *all = json_object_get(json_object_get(root, "config"), part), *value;
	const char *key;
	size_t n = 0;

	json_object_foreach(all, key, value)
	{
		CLEANUP_FREE char *text = NULL;

		if (!is_said(value) || n == OPTIONS_SHOWN)
			continue;
		text = json_is_string(value) ? NULL
					     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT |
									 JSON_REAL_PRECISION(6));
		out->failed = out->failed || (!text && !json_is_string(value));
		if (n++)
			buf_adds(out, ", ");
		else
			buf_addf(out, "<dt>%s<dd>", name);
		escape_html(out, key);
		buf_addc(out, ' ');
		escape_html(out, text			 ? text
				 : json_is_string(value) ? json_string_value(value)
							 : "");
	}
	buf_adds(out, n ? "\n" : "");
}

static void labels(const json_t *root, struct buf *out)
{
	json_t *all = json_object_get(root, "labels"), *value;
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	const char *key;

	json_object_foreach(all, key, value)
		buf_addf(&text, "%s%s=%s", text.len ? ", " : "", key, json_string_value(value));
	term_of(out, "labels", &text);
}

static void one_file(const struct study *s, size_t i, struct buf *out)
{
	const json_t *root = s->file[i].root;
	CLEANUP(buf_done) struct buf machine = BUF_INIT, noise = BUF_INIT, extent = BUF_INIT;

	facts_machine(root, &machine);
	facts_noise(root, &noise);
	facts_extent(root, &extent);
	if (s->n_files > 1) {
		buf_adds(out, "<h3>");
		escape_html(out, s->file[i].label);
		buf_adds(out, "</h3>\n");
	}
	buf_adds(out, "<dl>\n");
	term(out, "file", s->file[i].name);
	term_of(out, "extent", &extent);
	command(root, out);
	targets(root, out);
	term_of(out, "machine", &machine);
	term_of(out, "noise", &noise);
	term(out, "commit", view_text(json_object_get(root, "vcs"), "commit"));
	labels(root, out);
	options(root, "what", "measured", out);
	options(root, "how", "how", out);
	term(out, "mpbench", view_text(json_object_get(root, "tool"), "version"));
	term(out, "run id", view_text(root, "run_id"));
	buf_adds(out, "</dl>\n");
}

void facts_files(const struct study *s, struct buf *out)
{
	buf_adds(out, "<h2 id=files>What was measured, where and how</h2>\n");
	for (size_t i = 0; i < s->n_files; i++)
		one_file(s, i, out);
}
