/* OpenMetrics text and the same for Prometheus' textfile collector: families together, base units, no time stamps. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result/format.h"

enum { FAMILY_MAX = 160 };

struct sample {
	char family[FAMILY_MAX];
	const struct report_row *row;
	size_t at;
};

/* Base unit and what to multiply with. */
static const char *base_unit(const char *unit, double *factor)
{
	*factor = strcmp(unit, "ns") == 0 ? 1e-9 : 1;
	return strcmp(unit, "ns") == 0 ? "seconds" : unit;
}

/* Letters, digits and '_' only. */
static void add_word(char *out, size_t *n, const char *text)
{
	for (const char *p = text; *p && *n + 2 < FAMILY_MAX; p++)
		out[(*n)++] = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '_';
	out[*n] = '\0';
}

/* "mpbench_latency_seconds": the part of the name before the statistic, which is in the label. */
static void family_of(const struct report_row *row, char out[FAMILY_MAX])
{
	char stem[FAMILY_MAX];
	size_t n = 0;
	double factor;
	const char *dot = strrchr(row->metric, '.');
	int len = dot && strncmp(row->metric, "syscalls.", 9) != 0 ? (int)(dot - row->metric)
		  : strncmp(row->metric, "syscalls.", 9) == 0	   ? 8
								   : (int)strlen(row->metric);

	snprintf(stem, sizeof(stem) / 2, "%.*s", len, row->metric);
	add_word(out, &n, "mpbench ");
	add_word(out, &n, stem);
	add_word(out, &n, "_");
	add_word(out, &n, base_unit(row->unit, &factor));
}

static int compare_samples(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	int by_family = strcmp(x->family, y->family);

	return by_family ? by_family : (x->at > y->at) - (x->at < y->at);
}

static void add_label(struct buf *out, const char *key, const char *value)
{
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	buf_add_safe(&safe, value, strlen(value));
	out->failed = out->failed || safe.failed;
	buf_addf(out, "%s=\"", key);
	for (const char *p = buf_text(&safe); *p; p++) {
		if (*p == '"' || *p == '\\')
			buf_addc(out, '\\');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
}

static void add_labels(struct buf *out, const struct report_row *row)
{
	buf_addc(out, '{');
	add_label(out, "benchmark", row->benchmark);
	buf_addc(out, ',');
	add_label(out, "target", row->target);
	buf_addc(out, ',');
	if (*row->params) {
		add_label(out, "params", row->params);
		buf_addc(out, ',');
	}
	add_label(out, "metric", row->metric);
	buf_addc(out, '}');
}

static void add_samples(const struct sample *list, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		double factor;

		base_unit(list[i].row->unit, &factor);
		if (i == 0 || strcmp(list[i].family, list[i - 1].family) != 0)
			buf_addf(out, "# TYPE %s gauge\n# HELP %s Median over the runs.\n",
				 list[i].family, list[i].family);
		buf_adds(out, list[i].family);
		add_labels(out, list[i].row);
		buf_addf(out, " %.4g\n", list[i].row->value * factor);
	}
}

/* How new relates to base, where both are. */
static void add_ratios(const struct report *r, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < r->n; i++) {
		if (isnan(r->row[i].estimate.ratio) || !r->row[i].n || !r->row[i].n_base)
			continue;
		if (!any)
			buf_adds(out, "# TYPE mpbench_change_ratio gauge\n"
				      "# HELP mpbench_change_ratio New over base.\n");
		any = true;
		buf_adds(out, "mpbench_change_ratio");
		add_labels(out, &r->row[i]);
		buf_addf(out, " %.4g\n", r->row[i].estimate.ratio);
	}
}

int format_openmetrics(const struct report *r, bool eof, struct buf *out, struct err *e)
{
	CLEANUP_FREE struct sample *list = calloc(r->n + 1, sizeof(*list));
	size_t n = 0;

	if (!list)
		return err_nomem(e);
	for (size_t i = 0; i < r->n; i++) {
		if (isnan(r->row[i].value))
			continue;
		list[n].row = &r->row[i];
		list[n].at = i;
		family_of(&r->row[i], list[n++].family);
	}
	qsort(list, n, sizeof(*list), compare_samples);
	add_samples(list, n, out);
	if (r->compared) {
		add_ratios(r, out);
		buf_addf(out,
			 "# TYPE mpbench_regressions gauge\n"
			 "# HELP mpbench_regressions Metrics that gate and got worse.\n"
			 "mpbench_regressions %zu\n",
			 r->gating[VERDICT_REGRESSION]);
	}
	if (eof)
		buf_adds(out, "# EOF\n");
	return out->failed ? err_nomem(e) : 0;
}
