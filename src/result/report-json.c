/* A report as JSON: {schema "mpbench.diff", schema_version, verdicts, rows...}. */
#include <math.h>

#include "result/report.h"

static const char *better_name(enum better b)
{
	return b == BETTER_LOWER ? "lower" : b == BETTER_HIGHER ? "higher" : "none";
}

static int put_interval(json_t *object, const char *key, double lo, double hi, struct err *e)
{
	json_t *interval = json_put_array(object, key, e);

	if (!interval || json_push(interval, json_number(lo), e) < 0)
		return -1;
	return json_push(interval, json_number(hi), e);
}

/* An unbounded lower end of a ratio is 0, an upper one infinite: both are null. */
static double bounded(double v)
{
	return v > 0 && isfinite(v) ? v : (double)NAN;
}

static int put_comparison(json_t *o, const struct report_row *row, struct err *e)
{
	const struct estimate *v = &row->estimate;
	bool both = row->n && row->n_base;
	char why[160];

	report_explain(row, why, sizeof(why));
	if (json_put(o, "verdict", json_string(verdict_name(row->verdict)), e) < 0 ||
	    json_put(o, "gates", json_boolean(row->gates), e) < 0 ||
	    json_put(o, "n_base", json_u64(row->n_base), e) < 0 ||
	    json_put(o, "base", json_number(row->base), e) < 0 ||
	    json_put(o, "ratio", json_number(v->ratio), e) < 0 ||
	    put_interval(o, "ci", bounded(v->lo), bounded(v->hi), e) < 0 ||
	    json_put(o, "method", both ? json_string(verdict_method_name(v->method)) : json_null(),
		     e) < 0 ||
	    json_put(o, "p", json_number(v->p), e) < 0 ||
	    json_put(o, "p_adjusted", json_number(row->p), e) < 0 ||
	    json_put(o, "threshold", json_number(row->threshold), e) < 0 ||
	    json_put(o, "detectable", json_number(verdict_detectable(v)), e) < 0 ||
	    json_put(o, "runs_needed", row->runs_needed ? json_u64(row->runs_needed) : json_null(),
		     e) < 0)
		return -1;
	return json_put(o, "note", *why ? json_string(why) : json_null(), e);
}

static int put_row(json_t *rows, const struct report *r, const struct report_row *row,
		   struct err *e)
{
	json_t *o = json_push_object(rows, e);

	if (!o || json_put(o, "benchmark", json_outside_text(row->benchmark), e) < 0 ||
	    json_put(o, "target", json_outside_text(row->target), e) < 0 ||
	    json_put(o, "params", json_outside_text(row->params), e) < 0 ||
	    json_put(o, "metric", json_outside_text(row->metric), e) < 0 ||
	    json_put(o, "unit", json_outside_text(row->unit), e) < 0 ||
	    json_put(o, "better", json_string(better_name(row->better)), e) < 0 ||
	    json_put(o, "n", json_u64(row->n), e) < 0 ||
	    json_put(o, "value", json_number(row->value), e) < 0 ||
	    put_interval(o, "value_ci", row->value_lo, row->value_hi, e) < 0)
		return -1;
	return r->compared ? put_comparison(o, row, e) : 0;
}

static int put_counts(json_t *root, const char *key, const size_t count[VERDICTS], struct err *e)
{
	json_t *o = json_put_object(root, key, e);

	for (enum verdict v = VERDICT_REGRESSION; o && v < VERDICTS; v++)
		if (json_put(o, verdict_name(v), json_u64(count[v]), e) < 0)
			return -1;
	return o ? 0 : -1;
}

static int put_head(json_t *root, const struct report *r, struct err *e)
{
	if (json_put(root, "schema", json_string("mpbench.diff"), e) < 0 ||
	    json_put(root, "schema_version", json_string("1.0"), e) < 0 ||
	    json_put(root, "base", json_outside_text(r->base_name), e) < 0 ||
	    json_put(root, "new", json_outside_text(r->new_name), e) < 0 ||
	    json_put(root, "threshold", json_number(r->threshold), e) < 0 ||
	    json_put(root, "alpha", json_number(VERDICT_ALPHA), e) < 0 ||
	    json_put(root, "strict", json_boolean(r->strict), e) < 0 ||
	    json_put(root, "family", json_u64(r->family), e) < 0 ||
	    json_put(root, "paired", json_boolean(r->paired), e) < 0 ||
	    json_put(root, "same_machine", json_boolean(r->same_machine), e) < 0 ||
	    json_put(root, "noisy", json_boolean(r->noisy), e) < 0)
		return -1;
	return put_counts(root, "gating", r->gating, e) < 0
		       ? -1
		       : put_counts(root, "others", r->shown, e);
}

json_t *report_json(const struct report *r, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_object();
	json_t *rows, *notes;

	if (!root) {
		err_nomem(e);
		return NULL;
	}
	if (put_head(root, r, e) < 0)
		return NULL;
	rows = json_put_array(root, "rows", e);
	notes = rows ? json_put_array(root, "notes", e) : NULL;
	for (size_t i = 0; notes && i < r->n; i++)
		if (put_row(rows, r, &r->row[i], e) < 0)
			return NULL;
	for (size_t i = 0; notes && i < r->n_notes; i++) {
		json_t *o = json_push_object(notes, e);

		if (!o || json_put(o, "code", json_outside_text(r->note[i].code), e) < 0 ||
		    json_put(o, "message", json_outside_text(r->note[i].text), e) < 0)
			return NULL;
	}
	return notes ? TAKE(root) : NULL;
}
