/* A trend as a document of schema mpbench.trend. */
#include <math.h>

#include "result/trend.h"

static int add_change(json_t *list, const struct trend *t, const struct trend_row *row,
		      const struct change *c, struct err *e)
{
	const struct history_point *p = &t->h->point[row->place[c->at]];
	const struct history_point *before = &t->h->point[row->place[c->at - 1]];
	json_t *o = json_push_object(list, e);

	if (!o || json_put(o, "at", json_u64(c->at), e) < 0 ||
	    json_put(o, "before", json_number(c->before), e) < 0 ||
	    json_put(o, "after", json_number(c->after), e) < 0 ||
	    json_put(o, "ratio", json_number(c->after / c->before), e) < 0 ||
	    json_put(o, "p", json_number(c->p), e) < 0 ||
	    json_put(o, "first", json_outside_text(p->name), e) < 0 ||
	    json_put(o, "started_at", json_string(p->started_at), e) < 0 ||
	    json_put(o, "run_id", json_known_text(p->run_id), e) < 0 ||
	    json_put(o, "commit", json_known_text(p->commit), e) < 0 ||
	    json_put(o, "last_before", json_outside_text(before->name), e) < 0)
		return -1;
	return json_put(o, "commit_before", json_known_text(before->commit), e);
}

static int add_lists(json_t *o, const struct trend *t, const struct trend_row *row, struct err *e)
{
	json_t *values = json_put_array(o, "values", e), *results, *changes;

	for (size_t i = 0; values && i < row->n; i++)
		if (json_push(values, json_number(row->value[i]), e) < 0)
			return -1;
	results = values ? json_put_array(o, "results", e) : NULL;
	for (size_t i = 0; results && i < row->n; i++)
		if (json_push(results, json_u64(row->place[i]), e) < 0)
			return -1;
	changes = results ? json_put_array(o, "changes", e) : NULL;
	for (size_t i = 0; changes && i < row->n_changes; i++)
		if (add_change(changes, t, row, &row->change[i], e) < 0)
			return -1;
	return changes ? 0 : -1;
}

static int add_row(json_t *rows, const struct trend *t, const struct trend_row *row, struct err *e)
{
	static const char *const better[] = {
		[BETTER_LOWER] = "lower", [BETTER_HIGHER] = "higher", [BETTER_NONE] = "none"
	};
	const struct history_series *s = row->of;
	json_t *o = json_push_object(rows, e);

	if (!o || json_put(o, "benchmark", json_outside_text(s->benchmark), e) < 0 ||
	    json_put(o, "target", json_outside_text(s->target), e) < 0 ||
	    json_put(o, "params", json_outside_text(s->params), e) < 0 ||
	    json_put(o, "metric", json_outside_text(s->metric), e) < 0 ||
	    json_put(o, "unit", json_outside_text(s->unit), e) < 0 ||
	    json_put(o, "better", json_string(better[s->better]), e) < 0 ||
	    json_put(o, "config", json_known_text(s->config), e) < 0 ||
	    json_put(o, "n", json_u64(row->n), e) < 0 ||
	    json_put(o, "median", json_number(row->median), e) < 0 ||
	    json_put(o, "mad", json_number(row->mad), e) < 0 ||
	    json_put(o, "latest", json_number(row->latest), e) < 0 ||
	    json_put(o, "newest",
		     json_string(row->direction > 0   ? "worse"
				 : row->direction < 0 ? "better"
				 : row->n_changes     ? "changed"
						      : "same"),
		     e) < 0)
		return -1;
	return add_lists(o, t, row, e);
}

static int add_results(json_t *root, const struct history *h, struct err *e)
{
	json_t *list = json_put_array(root, "results", e);

	for (size_t i = 0; list && i < h->n; i++) {
		const struct history_point *p = &h->point[i];
		json_t *o = json_push_object(list, e);

		if (!o || json_put(o, "name", json_outside_text(p->name), e) < 0 ||
		    json_put(o, "started_at", json_string(p->started_at), e) < 0 ||
		    json_put(o, "run_id", json_known_text(p->run_id), e) < 0 ||
		    json_put(o, "commit", json_known_text(p->commit), e) < 0)
			return -1;
	}
	return list ? 0 : -1;
}

json_t *trend_json(const struct trend *t, const struct trend_options *o, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_object();
	struct change_options how = CHANGE_DEFAULT;
	json_t *rows;

	if (!root) {
		err_nomem(e);
		return NULL;
	}
	if (json_put(root, "schema", json_string("mpbench.trend"), e) < 0 ||
	    json_put(root, "schema_version", json_string("1.0"), e) < 0 ||
	    json_put(root, "method", json_string("pettitt"), e) < 0 ||
	    json_put(root, "alpha", json_number(how.p), e) < 0 ||
	    json_put(root, "magnitude", json_number(o->magnitude), e) < 0 ||
	    json_put(root, "worse", json_u64(t->worse), e) < 0 ||
	    json_put(root, "skipped", json_u64(t->h->skipped), e) < 0 ||
	    add_results(root, t->h, e) < 0)
		return NULL;
	rows = json_put_array(root, "rows", e);
	for (size_t i = 0; rows && i < t->n; i++)
		if (add_row(rows, t, &t->row[i], e) < 0)
			return NULL;
	return rows ? TAKE(root) : NULL;
}
