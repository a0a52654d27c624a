#include "picture/facts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "result/escape.h"
#include "result/view.h"

enum { ITEMS_MAX = 200 };

/* --- plain text -------------------------------------------------------------------------------------------------- */

static void add_known(struct buf *out, const char *before, const char *text)
{
	if (*text)
		buf_addf(out, "%s%s", before, text);
}

void facts_machine(const json_t *root, struct buf *out)
{
	const json_t *e = json_object_get(root, "environment"), *cpu = json_object_get(e, "cpu");
	const json_t *clock = json_object_get(e, "clock");
	double cpus = view_number(cpu, "logical"), memory = view_number(e, "memory_bytes");
	double cost = view_number(clock, "overhead_ns_p50");
	char text[NUM_TEXT_MAX];

	buf_addf(out, "Kernel %s", view_text(e, "kernel"));
	add_known(out, " on ", view_text(e, "arch"));
	add_known(out, ", ", view_text(e, "os"));
	add_known(out, "; ", view_text(cpu, "model"));
	if (isfinite(cpus))
		buf_addf(out, ", %.0f CPU%s", cpus, cpus > 1 ? "s" : "");
	add_known(out, " (used: ", view_text(cpu, "affinity"));
	buf_adds(out, *view_text(cpu, "affinity") ? ")" : "");
	add_known(out, ", governor ", view_text(cpu, "governor"));
	if (isfinite(memory))
		buf_addf(out, ", %s of memory", num_format_bytes(text, memory));
	add_known(out, "; virtual: ", view_text(e, "virt"));
	if (json_is_true(json_object_get(e, "container")))
		buf_adds(out, ", in a container");
	add_known(out, "; clock ", view_text(clock, "source"));
	if (isfinite(cost))
		buf_addf(out, ", %.0f ns a reading", cost);
	buf_addc(out, '.');
}

void facts_noise(const json_t *root, struct buf *out)
{
	const json_t *noise = json_object_get(root, "noise"), *reason;
	size_t i;

	buf_adds(out, *view_text(noise, "verdict") ? view_text(noise, "verdict") : "unknown");
	json_array_foreach(json_object_get(noise, "reasons"), i, reason)
	{
		if (i == 8)
			break;
		buf_addf(out, "%s%s", i ? "; " : ": ", json_string_value(reason));
	}
}

void facts_extent(const json_t *root, struct buf *out)
{
	const json_t *benchmarks = json_object_get(root, "benchmarks"), *b;
	size_t runs = 0, targets = json_array_size(json_object_get(root, "targets")), i;
	const char *when = view_text(root, "started_at");

	json_array_foreach(benchmarks, i, b)
	{
		size_t n = json_array_size(json_object_get(b, "runs"));

		runs = n > runs ? n : runs;
	}
	buf_addf(out, "%zu benchmark%s on %zu target%s, %zu run%s each, %.10s %.5s",
		 json_array_size(benchmarks), json_array_size(benchmarks) == 1 ? "" : "s", targets,
		 targets == 1 ? "" : "s", runs, runs == 1 ? "" : "s", when,
		 strlen(when) > 16 ? when + 11 : "");
}

/* --- HTML -------------------------------------------------------------------------------------------------------- */

static void which(const struct study *s, size_t file, struct buf *out)
{
	if (s->n_files < 2)
		return;
	escape_html(out, s->file[file].label);
	buf_adds(out, ": ");
}

static void alarm_begin(const struct study *s, size_t file, struct buf *out)
{
	buf_adds(out, "<p class=alarm>");
	which(s, file, out);
}

static void alarm_status(const struct study *s, size_t file, struct buf *out)
{
	const json_t *root = s->file[file].root, *error = json_object_get(root, "error");
	const char *status = view_text(root, "status");

	if (strcmp(status, "complete") == 0)
		return;
	alarm_begin(s, file, out);
	buf_addf(out, "the measurement %s",
		 strcmp(status, "failed") == 0 ? "failed" : "was interrupted");
	if (*view_text(error, "message")) {
		buf_adds(out, ": ");
		escape_html(out, view_text(error, "message"));
	}
	buf_adds(out, "</p>\n");
}

static void alarm_checks(const struct study *s, size_t file, struct buf *out)
{
	const json_t *check;
	size_t i, shown = 0;

	json_array_foreach(json_object_get(s->file[file].root, "checks"), i, check)
	{
		const char *status = view_text(check, "status");

		if (strcmp(status, "fail") != 0 && strcmp(status, "error") != 0)
			continue;
		if (shown++ == ITEMS_MAX)
			break;
		alarm_begin(s, file, out);
		buf_addf(out, "%s: <code>",
			 strcmp(status, "fail") == 0 ? "limit exceeded" : "limit not checked");
		escape_html(out, view_text(check, "expr"));
		buf_adds(out, "</code> ");
		escape_html(out, view_text(check, "message"));
		buf_adds(out, "</p>\n");
	}
}

static void alarm_noise(const struct study *s, size_t file, struct buf *out)
{
	const json_t *root = s->file[file].root;
	CLEANUP(buf_done) struct buf text = BUF_INIT;

	if (strcmp(view_text(json_object_get(root, "noise"), "verdict"), "noisy") != 0)
		return;
	facts_noise(root, &text);
	out->failed = out->failed || text.failed;
	alarm_begin(s, file, out);
	buf_adds(out, "the machine was ");
	escape_html(out, buf_text(&text));
	buf_adds(out, "</p>\n");
}

void facts_alarms(const struct study *s, struct buf *out)
{
	for (size_t i = 0; i < s->n_files; i++) {
		alarm_status(s, i, out);
		alarm_checks(s, i, out);
		alarm_noise(s, i, out);
	}
	if (s->left_out)
		buf_addf(
			out,
			"<p class=alarm>%zu benchmarks beyond the first %d cases are left out.</p>\n",
			s->left_out, STUDY_CASES_MAX);
}

static void findings(const struct study *s, size_t file, struct buf *out)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(s->file[file].root, "findings"), i, f)
	{
		if (i == ITEMS_MAX)
			break;
		buf_adds(out, "<li>");
		which(s, file, out);
		buf_adds(out, "<b>");
		escape_html(out, view_text(f, "code"));
		buf_adds(out, "</b> ");
		escape_html(out, view_text(f, "benchmark"));
		buf_adds(out, *view_text(f, "target") ? " on " : "");
		escape_html(out, view_text(f, "target"));
		buf_adds(out, *view_text(f, "benchmark") || *view_text(f, "target") ? ": " : "");
		escape_html(out, view_text(f, "evidence"));
		if (*view_text(f, "remedy")) {
			buf_adds(out, ". <i>");
			escape_html(out, view_text(f, "remedy"));
			buf_adds(out, "</i>");
		}
		buf_addc(out, '\n');
	}
}

/* The first run's words for each kind of failure of a benchmark, and how many there were. */
static void failures(const struct study *s, const struct study_case *c, const struct arm *a,
		     struct buf *out)
{
	const json_t *runs = json_object_get(a->benchmark, "runs"), *run;
	CLEANUP(json_decref) json_t *kinds = json_object();
	const char *kind;
	json_t *count;
	size_t i;

	out->failed = out->failed || !kinds;
	json_array_foreach(runs, i, run)
	{
		json_object_foreach(json_object_get(run, "errors"), kind, count)
		{
			double n = json_number_value(json_object_get(kinds, kind));

			if (json_object_set_new(kinds, kind,
						json_real(n + json_number_value(count))) < 0)
				out->failed = true;
		}
	}
	json_object_foreach(kinds, kind, count)
	{
		const char *detail = "";

		json_array_foreach(runs, i, run)
		{
			if (!*detail)
				detail = view_text(json_object_get(run, "error_details"), kind);
		}
		buf_adds(out, "<li>");
		which(s, a->file, out);
		escape_html(out, c->title);
		buf_adds(out, " on ");
		escape_html(out, a->target);
		buf_addf(out, ": %.0f times ", json_number_value(count));
		escape_html(out, kind);
		buf_adds(out, *detail ? ", first: " : "");
		escape_html(out, detail);
		buf_addc(out, '\n');
	}
}

static void warnings(const struct study *s, size_t file, struct buf *out)
{
	const struct report *r = &s->file[file].report;
	const json_t *w;
	size_t i;

	json_array_foreach(json_object_get(s->file[file].root, "warnings"), i, w)
	{
		if (i == ITEMS_MAX)
			break;
		buf_adds(out, "<li>");
		which(s, file, out);
		escape_html(out, view_text(w, "message"));
		buf_addc(out, '\n');
	}
	for (i = 0; i < r->n_notes; i++) {
		buf_adds(out, "<li>");
		escape_html(out, r->note[i].text);
		buf_addc(out, '\n');
	}
}

/* A list under a heading, where there is anything in it. */
static void add_list(struct buf *out, const char *heading, struct buf *items)
{
	out->failed = out->failed || items->failed;
	if (items->len)
		buf_addf(out, "<h2>%s</h2><ul>\n%s</ul>\n", heading, buf_text(items));
	buf_clear(items);
}

void facts_notes(const struct study *s, struct buf *out)
{
	CLEANUP(buf_done) struct buf items = BUF_INIT;

	for (size_t i = 0; i < s->n_files; i++)
		findings(s, i, &items);
	add_list(out, "Findings", &items);
	for (size_t i = 0; i < s->n_cases; i++)
		for (size_t a = 0; a < s->cases[i].n; a++)
			failures(s, &s->cases[i], &s->cases[i].arm[a], &items);
	add_list(out, "Failures", &items);
	for (size_t i = 0; i < s->n_files; i++)
		warnings(s, i, &items);
	add_list(out, "Warnings", &items);
}
