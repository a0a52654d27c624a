/* Formats of one record a metric: CSV, Influx line protocol, LAVA, Bencher, github-action-benchmark. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "result/format.h"

static void add_csv_text(struct buf *out, const char *text)
{
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	buf_add_safe(&safe, text, strlen(text));
	out->failed = out->failed || safe.failed;
	if (!strpbrk(buf_text(&safe), ",\"")) {
		buf_adds(out, buf_text(&safe));
		return;
	}
	buf_addc(out, '"');
	for (const char *p = buf_text(&safe); *p; p++) {
		if (*p == '"')
			buf_addc(out, '"');
		buf_addc(out, *p);
	}
	buf_addc(out, '"');
}

/* ",number", or "," alone for what is not known. */
static void add_csv_number(struct buf *out, double v)
{
	if (isfinite(v))
		buf_addf(out, ",%.15g", v);
	else
		buf_addc(out, ',');
}

static void csv_comparison(const struct report_row *row, struct buf *out)
{
	buf_addf(out, ",%zu", row->n_base);
	add_csv_number(out, row->base);
	add_csv_number(out, row->estimate.ratio);
	add_csv_number(out, row->estimate.lo > 0 ? row->estimate.lo : (double)NAN);
	add_csv_number(out, row->estimate.hi);
	add_csv_number(out, row->p);
	buf_addf(out, ",%s,%s", row->gates ? "yes" : "no", verdict_name(row->verdict));
}

void format_csv(const struct report *r, struct buf *out)
{
	buf_adds(out, "benchmark,target,params,metric,unit,better,runs,median,ci_low,ci_high");
	buf_adds(out, r->compared
			      ? ",base_runs,base_median,ratio,ratio_low,ratio_high,p_holm,gates,"
				"verdict\r\n"
			      : "\r\n");
	for (size_t i = 0; i < r->n; i++) {
		const struct report_row *row = &r->row[i];
		const char *const texts[] = { row->benchmark, row->target, row->params, row->metric,
					      row->unit };

		for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++) {
			add_csv_text(out, texts[k]);
			buf_addc(out, ',');
		}
		buf_addf(out, "%s,%zu",
			 row->better == BETTER_LOWER	? "lower"
			 : row->better == BETTER_HIGHER ? "higher"
							: "none",
			 row->n);
		add_csv_number(out, row->value);
		add_csv_number(out, row->value_lo);
		add_csv_number(out, row->value_hi);
		if (r->compared)
			csv_comparison(row, out);
		buf_adds(out, "\r\n");
	}
}

/* Comma, blank and '=' are escaped; a backslash has no escape of its own. */
static void add_tag(struct buf *out, const char *key, const char *value)
{
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	if (!*value)
		return;
	buf_add_safe(&safe, value, strlen(value));
	out->failed = out->failed || safe.failed;
	buf_addf(out, ",%s=", key);
	for (const char *p = buf_text(&safe); *p; p++) {
		if (*p == ',' || *p == ' ' || *p == '=')
			buf_addc(out, '\\');
		buf_addc(out, *p == '\\' ? '/' : *p);
	}
}

static void add_field(struct buf *out, const char *key, double v)
{
	if (isfinite(v))
		buf_addf(out, ",%s=%.15g", key, v);
}

void format_influx(const struct report *r, struct buf *out)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct report_row *row = &r->row[i];

		if (isnan(row->value))
			continue;
		buf_adds(out, "mpbench");
		add_tag(out, "benchmark", row->benchmark);
		add_tag(out, "metric", row->metric);
		add_tag(out, "params", row->params);
		add_tag(out, "target", row->target);
		add_tag(out, "unit", row->unit);
		if (r->compared)
			add_tag(out, "verdict", verdict_name(row->verdict));
		buf_addf(out, " runs=%zui,median=%.15g", row->n, row->value);
		add_field(out, "ci_low", row->value_lo);
		add_field(out, "ci_high", row->value_hi);
		add_field(out, "base", row->base);
		add_field(out, "ratio", row->estimate.ratio);
		buf_addc(out, '\n');
	}
}

static void add_lava_name(struct buf *out, const char *text)
{
	for (const char *p = text; *p; p++)
		buf_addc(out, isalnum((unsigned char)*p) || strchr("._-", *p) ? *p : '_');
}

void format_lava(const struct report *r, struct buf *out)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct report_row *row = &r->row[i];
		CLEANUP(buf_done) struct buf name = BUF_INIT;
		bool fail = row->gates && row->verdict == VERDICT_REGRESSION;

		if (isnan(row->value))
			continue;
		report_case(row, true, &name);
		buf_addc(&name, '.');
		buf_adds(&name, row->metric);
		out->failed = out->failed || name.failed;
		add_lava_name(out, buf_text(&name));
		buf_addf(out, " %s %.15g ", fail ? "fail" : "pass", row->value);
		add_lava_name(out, *row->unit ? row->unit : "none");
		buf_addc(out, '\n');
	}
}

/* "repl.exec size=64 @t1" */
static json_t *case_object(json_t *root, const struct report_row *row, struct err *e)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT;
	json_t *there;

	if (report_case(row, true, &name) < 0) {
		err_nomem(e);
		return NULL;
	}
	there = json_object_get(root, buf_text(&name));
	return there ? there : json_put_object(root, buf_text(&name), e);
}

json_t *format_bmf(const struct report *r, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_object();

	if (!root) {
		err_nomem(e);
		return NULL;
	}
	for (size_t i = 0; i < r->n; i++) {
		const struct report_row *row = &r->row[i];
		json_t *of, *measure;

		if (isnan(row->value))
			continue;
		of = case_object(root, row, e);
		measure = of ? json_put_object(of, row->metric, e) : NULL;
		if (!measure || json_put(measure, "value", json_number(row->value), e) < 0)
			return NULL;
		if (isfinite(row->value_lo) &&
		    json_put(measure, "lower_value", json_number(row->value_lo), e) < 0)
			return NULL;
		if (isfinite(row->value_hi) &&
		    json_put(measure, "upper_value", json_number(row->value_hi), e) < 0)
			return NULL;
	}
	return TAKE(root);
}

static int add_gab(json_t *root, const struct report *r, const struct report_row *row,
		   struct err *e)
{
	CLEANUP(buf_done) struct buf name = BUF_INIT, extra = BUF_INIT;
	json_t *o = json_push_object(root, e);
	double half = (row->value_hi - row->value_lo) / 2;
	char range[REPORT_TEXT_MAX];

	report_case(row, true, &name);
	buf_addf(&name, " %s", row->metric);
	buf_addf(&extra, "%zu runs", row->n);
	if (r->compared)
		buf_addf(&extra, ", %s", verdict_name(row->verdict));
	if (name.failed || extra.failed)
		return err_nomem(e);
	snprintf(range, sizeof(range), "± %.4g", half);
	if (!o || json_put(o, "name", json_outside_text(buf_text(&name)), e) < 0 ||
	    json_put(o, "unit", json_outside_text(row->unit), e) < 0 ||
	    json_put(o, "value", json_number(row->value), e) < 0 ||
	    (isfinite(half) && json_put(o, "range", json_string(range), e) < 0))
		return -1;
	return json_put(o, "extra", json_string(buf_text(&extra)), e);
}

json_t *format_gab(const struct report *r, enum better better, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_array();

	if (!root) {
		err_nomem(e);
		return NULL;
	}
	for (size_t i = 0; i < r->n; i++)
		if (r->row[i].better == better && !isnan(r->row[i].value) &&
		    add_gab(root, r, &r->row[i], e) < 0)
			return NULL;
	return TAKE(root);
}
