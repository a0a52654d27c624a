/* What stands below the numbers: phases, failures, checks, findings, warnings, noise. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "result/limit.h"
#include "result/table-parts.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

enum { BAR_WIDTH = 24 };

static void phase_line(const struct screen *s, const json_t *phase, unsigned label)
{
	CLEANUP_FREE char *name = screen_safe(s, text_of(phase, "name"));
	double percent = json_number_value(json_object_get(phase, "percent"));
	unsigned filled = percent > 0 ? (unsigned)(fmin(percent, 100) / 100 * BAR_WIDTH + 0.5) : 0;
	CLEANUP(buf_done) struct buf bar = BUF_INIT;
	char text[NUM_TEXT_MAX], share[32];

	buf_adds(s->out, "  ");
	screen_left(s, TONE_PLAIN, name ? name : "", label);
	num_format_ns(text, json_number_value(json_object_get(phase, "ns")));
	screen_right(s, TONE_PLAIN, text, 10);
	snprintf(share, sizeof(share), "%.1f %%", percent);
	screen_right(s, TONE_PLAIN, share, 9);
	buf_adds(s->out, "  ");
	for (unsigned i = 0; i < filled; i++)
		buf_adds(&bar, s->style->utf8 ? "\u2588" : "#");
	screen_text(s, TONE_DIM, screen_part(s, &bar));
	screen_line_end(s);
}

static void one_budget(const struct screen *s, const json_t *budget)
{
	const json_t *phases = json_object_get(budget, "phases"), *phase;
	CLEANUP_FREE char *target = screen_safe(s, text_of(budget, "target"));
	CLEANUP(buf_done) struct buf head = BUF_INIT;
	unsigned label = 12;
	double sum = 0;
	char text[NUM_TEXT_MAX];
	size_t i;

	json_array_foreach(phases, i, phase)
	{
		unsigned len = screen_columns(text_of(phase, "name"));

		label = len > label ? len : label;
		sum += json_number_value(json_object_get(phase, "ns"));
	}
	label = label > 24 ? 24 : label;
	buf_addf(&head, "Where one session goes: %s, %s in all", target ? target : "",
		 num_format_ns(text, sum));
	screen_heading(s, screen_part(s, &head));
	json_array_foreach(phases, i, phase) phase_line(s, phase, label);
}

void table_phases(const struct screen *s, const json_t *root)
{
	const json_t *budgets =
			     json_object_get(json_object_get(root, "extensions"), "phase_budget"),
		     *budget;
	size_t i;

	json_array_foreach(budgets, i, budget) one_budget(s, budget);
}

/* One line per benchmark and kind of failure, with the first one's words. */
static void failures_of(const struct screen *s, const json_t *benchmark, bool *any)
{
	json_t *kinds = json_object(), *run, *count;
	const char *key, *detail;
	size_t i;

	if (!kinds)
		s->out->failed = true;
	json_array_foreach(json_object_get(benchmark, "runs"), i, run)
		json_object_foreach(json_object_get(run, "errors"), key, count)
	{
		double before = json_number_value(json_object_get(kinds, key));

		if (json_object_set_new(kinds, key, json_real(before + json_number_value(count))) <
		    0)
			s->out->failed = true;
	}
	json_object_foreach(kinds, key, count)
	{
		CLEANUP(buf_done) struct buf line = BUF_INIT;
		CLEANUP_FREE char *safe = NULL;

		detail = "";
		json_array_foreach(json_object_get(benchmark, "runs"), i, run) if (!*detail)
			detail = text_of(json_object_get(run, "error_details"), key);
		if (!*any)
			screen_heading(s, "Failures");
		*any = true;
		buf_addf(&line, "%s on %s: %.0f %s%s%s", text_of(benchmark, "name"),
			 text_of(benchmark, "target"), json_number_value(count), key,
			 *detail ? ", first: " : "", detail);
		safe = screen_safe(s, screen_part(s, &line));
		screen_wrap(s, TONE_PLAIN, "  ", safe ? safe : "");
	}
	json_decref(kinds);
}

static void failures(const struct screen *s, const json_t *root)
{
	const json_t *b;
	bool any = false;
	size_t i;

	json_array_foreach(json_object_get(root, "benchmarks"), i, b) failures_of(s, b, &any);
}

static void checks(const struct screen *s, const json_t *root)
{
	const json_t *all = json_object_get(root, "checks");

	if (json_array_size(all) == 0)
		return;
	screen_heading(s, "Checks");
	limit_table(all, s);
}

static void findings(const struct screen *s, const json_t *root)
{
	const json_t *all = json_object_get(root, "findings"), *finding;
	size_t i;

	if (json_array_size(all))
		screen_heading(s, "Findings");
	json_array_foreach(all, i, finding)
	{
		const char *benchmark = text_of(finding, "benchmark"),
			   *target = text_of(finding, "target");
		CLEANUP_FREE char *evidence = screen_safe(s, text_of(finding, "evidence"));
		CLEANUP_FREE char *remedy = screen_safe(s, text_of(finding, "remedy"));
		CLEANUP_FREE char *safe = NULL;
		CLEANUP(buf_done) struct buf line = BUF_INIT;

		buf_addf(&line, "%s%s%s%s%s", text_of(finding, "code"), *benchmark ? ": " : "",
			 benchmark, *target ? " on " : "", target);
		safe = screen_safe(s, screen_part(s, &line));
		screen_wrap(s, TONE_BOLD, s->style->utf8 ? "\u25cf " : "! ", safe ? safe : "");
		screen_wrap(s, TONE_PLAIN, "  ", evidence ? evidence : "");
		if (remedy && *remedy)
			screen_wrap(s, TONE_PLAIN, s->style->utf8 ? "  \u2192 " : "  -> ", remedy);
	}
}

static void warnings(const struct screen *s, const json_t *root)
{
	const json_t *all = json_object_get(root, "warnings"), *warning;
	size_t i;

	if (json_array_size(all))
		screen_heading(s, "Warnings");
	json_array_foreach(all, i, warning)
	{
		CLEANUP_FREE char *message = screen_safe(s, text_of(warning, "message"));

		screen_wrap(s, TONE_PLAIN, "  ", message ? message : "");
	}
}

static void notes(const struct screen *s, const json_t *root)
{
	const json_t *all = json_object_get(root, "benchmarks"), *b;
	size_t i;

	json_array_foreach(all, i, b)
	{
		const json_t *note = json_object_get(b, "note");
		CLEANUP_FREE char *safe = NULL;
		bool said = false;

		for (size_t k = 0; k < i && !said; k++)
			said = json_equal(json_object_get(json_array_get(all, k), "note"), note);
		if (said || !json_is_string(note))
			continue;
		safe = screen_safe(s, json_string_value(note));
		screen_wrap(s, TONE_DIM, "", safe ? safe : "");
	}
}

static void noise(const struct screen *s, const json_t *root)
{
	const json_t *noise = json_object_get(root, "noise"), *reason;
	const char *verdict = text_of(noise, "verdict");
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	CLEANUP_FREE char *safe = NULL;
	size_t i;

	if (!*verdict)
		return;
	buf_adds(&line, strcmp(verdict, "quiet") == 0 ? "The machine was quiet."
			: strcmp(verdict, "noisy") == 0
				? "The machine was noisy, trust small differences less:"
				: "How noisy the machine was is unknown.");
	json_array_foreach(json_object_get(noise, "reasons"), i, reason)
		buf_addf(&line, "%s %s", i ? ";" : "",
			 json_string_value(reason) ? json_string_value(reason) : "");
	safe = screen_safe(s, screen_part(s, &line));
	screen_wrap(s, strcmp(verdict, "noisy") == 0 ? TONE_BAD : TONE_DIM, "", safe ? safe : "");
}

static void ending(const struct screen *s, const json_t *root)
{
	const char *status = text_of(root, "status");
	CLEANUP_FREE char *message =
		screen_safe(s, text_of(json_object_get(root, "error"), "message"));

	if (strcmp(status, "complete") != 0)
		buf_addc(s->out, '\n');
	if (strcmp(status, "interrupted") == 0)
		screen_wrap(s, TONE_BAD, "", "Interrupted: this is what was measured until then.");
	if (message && *message)
		screen_wrap(s, TONE_BAD, "Failed: ", message);
}

void table_notes(const struct screen *s, const json_t *root)
{
	buf_addc(s->out, '\n');
	notes(s, root);
	noise(s, root);
	failures(s, root);
	checks(s, root);
	findings(s, root);
	warnings(s, root);
	ending(s, root);
}
