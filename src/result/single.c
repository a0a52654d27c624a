#include "result/single.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int add_metric(struct report *r, const struct side_case *c, const struct side_metric *m,
		      struct err *e)
{
	CLEANUP_FREE double *values = calloc(c->n_runs + 1, sizeof(*values));
	struct report_row *row = report_add(r, e);
	size_t n = 0;

	if (!row)
		return -1;
	if (!values)
		return err_nomem(e);
	row->benchmark = c->name;
	row->target = c->target;
	row->params = c->params;
	row->metric = m->name;
	row->unit = m->unit;
	row->better = m->better;
	row->exact = m->exact;
	row->headline = strcmp(c->headline, m->name) == 0;
	for (size_t i = 0; i < c->n_runs; i++)
		if (isfinite(m->values[i]))
			values[n++] = m->values[i];
	report_median(row, values, n);
	return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static int add_checks(struct report *r, const json_t *checks, struct err *e)
{
	const json_t *check;
	size_t i;

	r->check = calloc(json_array_size(checks) + 1, sizeof(*r->check));
	if (!r->check)
		return err_nomem(e);
	json_array_foreach(checks, i, check) r->check[r->n_checks++] =
		(struct report_check){ text_of(check, "expr"), text_of(check, "status"),
				       text_of(check, "message") };
	return 0;
}

int single_make(const struct side *side, const json_t *root, struct report *out, struct err *e)
{
	CLEANUP(report_done) struct report r = { 0 };

	for (size_t i = 0; i < side->n_cases; i++)
		for (size_t k = 0; k < side->cases[i].n_metrics; k++)
			if (add_metric(&r, &side->cases[i], &side->cases[i].metric[k], e) < 0)
				return -1;
	if (root && add_checks(&r, json_object_get(root, "checks"), e) < 0)
		return -1;
	*out = r;
	r = (struct report){ 0 };
	return 0;
}
