/* Annotations for GitHub and test cases for whatever reads JUnit's XML. */
#include <stdio.h>
#include <string.h>

#include "result/format.h"

/* Workflow commands: %, CR and LF are escaped; in a property also ':' and ','. */
static void add_command_text(struct buf *out, const char *text, bool property)
{
	for (const char *p = text; *p; p++) {
		if (*p == '%' || *p == '\r' || *p == '\n' || (property && (*p == ':' || *p == ',')))
			buf_addf(out, "%%%02X", (unsigned char)*p);
		else
			buf_addc(out, *p);
	}
}

/* "repl.exec latency.median: 50.0 us -> 56.0 us, +12 % (+11%..+13%)" */
static void describe(const struct report_row *row, struct buf *out)
{
	char text[REPORT_TEXT_MAX], why[160];

	report_case(row, true, out);
	buf_addc(out, ' ');
	buf_add_safe(out, row->metric, strlen(row->metric));
	buf_addf(out, ": %s", report_value(text, row->base, row->unit));
	buf_addf(out, " -> %s", report_value(text, row->value, row->unit));
	if (*report_change(text, row))
		buf_addf(out, ", %s", text);
	if (*report_interval(text, row))
		buf_addf(out, " (%s)", text);
	if (report_explain(row, why, sizeof(why)) > 0)
		buf_addf(out, "; %s", why);
}

static void command(struct buf *out, const char *kind, const char *title, const char *text)
{
	buf_addf(out, "::%s title=", kind);
	add_command_text(out, title, true);
	buf_adds(out, "::");
	add_command_text(out, text, false);
	buf_addc(out, '\n');
}

/* Annotations of one kind; what is beyond the limit is counted by the last. */
struct kind {
	const char *name;
	struct buf *out;
	size_t n, total;
};

static void annotate(struct kind *k, const char *title, const char *text)
{
	char last[64];

	k->n++;
	if (k->total > FORMAT_ANNOTATIONS_MAX && k->n == FORMAT_ANNOTATIONS_MAX) {
		snprintf(last, sizeof(last), "%zu further ones are in the table of the job",
			 k->total - FORMAT_ANNOTATIONS_MAX + 1);
		command(k->out, k->name, "mpbench", last);
	} else if (k->n <= FORMAT_ANNOTATIONS_MAX) {
		command(k->out, k->name, title, text);
	}
}

static const char *kind_of(const struct report_row *row)
{
	switch (row->verdict) {
	case VERDICT_REGRESSION:
	case VERDICT_MISSING:
		return "error";
	case VERDICT_INCONCLUSIVE:
		return "warning";
	case VERDICT_IMPROVEMENT:
		return "notice";
	default:
		return "";
	}
}

static bool failed(const struct report_check *c)
{
	return strcmp(c->status, "pass") != 0 && strcmp(c->status, "skipped") != 0;
}

static size_t count_kind(const struct report *r, const char *name)
{
	size_t n = strcmp(name, "warning") == 0	 ? r->n_notes
		   : strcmp(name, "notice") == 0 ? r->compared
						 : 0;

	for (size_t i = 0; i < r->n && r->compared; i++)
		n += r->row[i].gates && strcmp(kind_of(&r->row[i]), name) == 0;
	for (size_t i = 0; i < r->n_checks && strcmp(name, "error") == 0; i++)
		n += failed(&r->check[i]);
	return n;
}

static void annotate_rows(const struct report *r, struct kind *k)
{
	for (size_t i = 0; i < r->n && r->compared; i++) {
		CLEANUP(buf_done) struct buf text = BUF_INIT;
		const struct report_row *row = &r->row[i];
		char title[64];

		if (!row->gates || strcmp(kind_of(row), k->name) != 0)
			continue;
		snprintf(title, sizeof(title), "mpbench: %s", verdict_name(row->verdict));
		describe(row, &text);
		k->out->failed = k->out->failed || text.failed;
		annotate(k, title, buf_text(&text));
	}
}

static void annotate_rest(const struct report *r, struct kind *k)
{
	CLEANUP(buf_done) struct buf summary = BUF_INIT;

	for (size_t i = 0; i < r->n_checks && strcmp(k->name, "error") == 0; i++) {
		CLEANUP(buf_done) struct buf text = BUF_INIT;

		if (!failed(&r->check[i]))
			continue;
		buf_add_safe(&text, r->check[i].expr, strlen(r->check[i].expr));
		buf_addf(&text, " %s", *r->check[i].message ? "(" : "");
		buf_add_safe(&text, r->check[i].message, strlen(r->check[i].message));
		buf_adds(&text, *r->check[i].message ? ")" : "does not hold");
		k->out->failed = k->out->failed || text.failed;
		annotate(k, "mpbench: limit", buf_text(&text));
	}
	for (size_t i = 0; i < r->n_notes && strcmp(k->name, "warning") == 0; i++)
		annotate(k, "mpbench", r->note[i].text);
	if (strcmp(k->name, "notice") == 0 && r->compared) {
		report_summary(r, &summary);
		k->out->failed = k->out->failed || summary.failed;
		annotate(k, "mpbench", buf_text(&summary));
	}
}

void format_github(const struct report *r, struct buf *out)
{
	static const char *const kinds[] = { "error", "warning", "notice" };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct kind k = { kinds[i], out, 0, count_kind(r, kinds[i]) };

		annotate_rows(r, &k);
		annotate_rest(r, &k);
	}
}

/* XML 1.0 has no control characters and neither U+FFFE nor U+FFFF. */
static void add_xml(struct buf *out, const char *text)
{
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	buf_add_safe(&safe, text, strlen(text));
	out->failed = out->failed || safe.failed;
	for (const char *p = buf_text(&safe); *p; p++) {
		if (strncmp(p, "\xef\xbf\xbe", 3) == 0 || strncmp(p, "\xef\xbf\xbf", 3) == 0) {
			buf_addc(out, '?');
			p += 2;
			continue;
		}
		switch (*p) {
		case '&':
			buf_adds(out, "&amp;");
			break;
		case '<':
			buf_adds(out, "&lt;");
			break;
		case '>':
			buf_adds(out, "&gt;");
			break;
		case '"':
			buf_adds(out, "&quot;");
			break;
		default:
			buf_addc(out, *p);
		}
	}
}

static void test_case(const struct report_row *row, bool compared, struct buf *out)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT, text = BUF_INIT;

	report_case(row, true, &name);
	describe(row, &text);
	out->failed = out->failed || name.failed || text.failed;
	buf_adds(out, "    <testcase classname=\"");
	add_xml(out, buf_text(&name));
	buf_adds(out, "\" name=\"");
	add_xml(out, row->metric);
	buf_adds(out, "\">");
	if (compared && (row->verdict == VERDICT_REGRESSION || row->verdict == VERDICT_MISSING)) {
		buf_addf(out, "<failure type=\"%s\" message=\"", verdict_name(row->verdict));
		add_xml(out, buf_text(&text));
		buf_adds(out, "\"/>");
	} else if (compared && row->verdict == VERDICT_INCONCLUSIVE) {
		buf_adds(out, "<skipped message=\"");
		add_xml(out, buf_text(&text));
		buf_adds(out, "\"/>");
	} else if (compared) {
		buf_adds(out, "<system-out>");
		add_xml(out, buf_text(&text));
		buf_adds(out, "</system-out>");
	}
	buf_adds(out, "</testcase>\n");
}

static void test_check(const struct report_check *c, struct buf *out)
{
	buf_adds(out, "    <testcase classname=\"limits\" name=\"");
	add_xml(out, c->expr);
	buf_adds(out, "\">");
	if (failed(c)) {
		buf_addf(out, "<failure type=\"%s\" message=\"", c->status);
		add_xml(out, *c->message ? c->message : "does not hold");
		buf_adds(out, "\"/>");
	}
	buf_adds(out, "</testcase>\n");
}

void format_junit(const struct report *r, struct buf *out)
{
	size_t tests = r->n_checks, failures = 0, skipped = 0;

	for (size_t i = 0; i < r->n; i++) {
		tests += r->compared ? r->row[i].gates : r->row[i].headline;
		failures +=
			r->compared && r->row[i].gates && strcmp(kind_of(&r->row[i]), "error") == 0;
		skipped +=
			r->compared && r->row[i].gates && r->row[i].verdict == VERDICT_INCONCLUSIVE;
	}
	for (size_t i = 0; i < r->n_checks; i++)
		failures += failed(&r->check[i]);
	buf_addf(out,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
		 "  <testsuite name=\"mpbench\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" "
		 "skipped=\"%zu\">\n",
		 tests, failures, skipped);
	for (size_t i = 0; i < r->n; i++)
		if (r->compared ? r->row[i].gates : r->row[i].headline)
			test_case(&r->row[i], r->compared, out);
	for (size_t i = 0; i < r->n_checks; i++)
		test_check(&r->check[i], out);
	buf_adds(out, "  </testsuite>\n</testsuites>\n");
}
