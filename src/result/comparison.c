#include "result/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/compare.h"

#define ALPHA 0.05

json_t *params_make(const struct benchmark *b, struct err *e)
{
	CLEANUP(json_decref) json_t *params = json_object();

	for (size_t i = 0; params && i < b->n_params; i++) {
		const struct param *p = &b->params[i];
		json_t *value = p->type == PARAM_TEXT	? json_outside_text(p->text)
				: p->type == PARAM_BOOL ? json_boolean(p->integer)
							: json_number((double)p->integer);

		if (json_put(params, p->key, value, e) < 0)
			return NULL;
	}
	if (!params)
		err_nomem(e);
	return TAKE(params);
}

static bool same_param(const struct param *a, const struct param *b)
{
	if (a->type != b->type || strcmp(a->key, b->key) != 0)
		return false;
	return a->type == PARAM_TEXT ? strcmp(a->text, b->text) == 0 : a->integer == b->integer;
}

static bool same_case(const struct benchmark *a, const struct benchmark *b)
{
	if (strcmp(a->name, b->name) != 0 || a->n_params != b->n_params)
		return false;
	for (size_t i = 0; i < a->n_params; i++)
		if (!same_param(&a->params[i], &b->params[i]))
			return false;
	return true;
}

/* Maxima and minima of runs are not compared: their ratio says more about luck than about the target. */
static bool is_comparable(const struct metric *m)
{
	size_t len = strlen(m->name);

	return m->better != BETTER_NONE && strcmp(m->name, "error_ratio") != 0 &&
	       strcmp(m->name, "achieved_ratio") != 0 &&
	       (len < 4 ||
		(strcmp(m->name + len - 4, ".max") != 0 && strcmp(m->name + len - 4, ".min") != 0));
}

/* Run values of both sides side by side: pairs when paired, else each side by itself. */
struct sides {
	double *x, *y;
	size_t m, n;
	bool paired;
};

static bool is_usable(double v)
{
	return isfinite(v) && v > 0;
}

static bool is_paired(const struct benchmark *a, const struct benchmark *b)
{
	if (a->n_runs == 0 || b->n_runs == 0)
		return false;
	for (size_t i = 0; i < a->n_runs; i++)
		if (a->run[i].pair < 0)
			return false;
	for (size_t i = 0; i < b->n_runs; i++)
		if (b->run[i].pair < 0)
			return false;
	return true;
}

static void collect_pairs(struct sides *s, const struct benchmark *a, const struct metric *x,
			  const struct benchmark *b, const struct metric *y)
{
	for (size_t i = 0; i < a->n_runs; i++)
		for (size_t k = 0; k < b->n_runs; k++) {
			if (a->run[i].pair != b->run[k].pair)
				continue;
			if (s->m < a->n_runs && is_usable(x->values[i]) &&
			    is_usable(y->values[k])) {
				s->x[s->m++] = x->values[i];
				s->y[s->n++] = y->values[k];
			}
			break;
		}
}

static void collect_apart(struct sides *s, const struct benchmark *a, const struct metric *x,
			  const struct benchmark *b, const struct metric *y)
{
	for (size_t i = 0; i < a->n_runs; i++)
		if (is_usable(x->values[i]))
			s->x[s->m++] = x->values[i];
	for (size_t i = 0; i < b->n_runs; i++)
		if (is_usable(y->values[i]))
			s->y[s->n++] = y->values[i];
}

static bool all_agree(const double *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (v[i] < v[0] || v[i] > v[0])
			return false;
	return true;
}

struct verdict {
	const char *method;
	struct shift ratio;
	double p;
};

/* The test is made on logarithms, as the interval is: both then ask about the same ratio. */
static int paired_p(const struct sides *s, double *p, struct err *e)
{
	CLEANUP_FREE double *x = calloc(s->m, sizeof(*x));
	CLEANUP_FREE double *y = calloc(s->m, sizeof(*y));
	struct signed_rank test;

	if (!x || !y)
		return err_nomem(e);
	for (size_t i = 0; i < s->m; i++) {
		x[i] = log(s->x[i]);
		y[i] = log(s->y[i]);
	}
	if (compare_signed_rank(x, y, s->m, &test, e) < 0)
		return -1;
	*p = test.p;
	return 0;
}

static int judge(const struct sides *s, bool exact, struct verdict *v, struct err *e)
{
	struct mann_whitney test;

	if (exact && all_agree(s->x, s->m) && all_agree(s->y, s->n)) {
		v->method = "exact";
		v->p = (double)NAN;
		v->ratio.estimate = s->y[0] / s->x[0];
		v->ratio.lo = v->ratio.hi = (double)NAN;
		return 0;
	}
	if (s->paired) {
		v->method = "hodges-lehmann/paired";
		return compare_paired_ratio(s->x, s->y, s->m, ALPHA, &v->ratio, e) < 0
			       ? -1
			       : paired_p(s, &v->p, e);
	}
	v->method = "hodges-lehmann/moses";
	if (compare_ratio(s->x, s->m, s->y, s->n, ALPHA, &v->ratio, e) < 0 ||
	    compare_mann_whitney(s->x, s->m, s->y, s->n, &test, e) < 0)
		return -1;
	v->p = test.p;
	return 0;
}

static int add_interval(json_t *object, const struct shift *ratio, struct err *e)
{
	json_t *ci = json_put_array(object, "ci", e);

	/* An unbounded lower end of a ratio is 0 on the log scale's way down: no bound, like an infinite upper end. */
	if (!ci || json_push(ci, json_number(ratio->lo > 0 ? ratio->lo : (double)NAN), e) < 0)
		return -1;
	return json_push(ci, json_number(ratio->hi), e);
}

static int add_one(json_t *comparisons, const struct benchmark *a, const struct benchmark *b,
		   const struct metric *x, const struct sides *s, struct err *e)
{
	json_t *object;
	struct verdict v = { 0 };

	if (s->m == 0 || s->n == 0)
		return 0;
	if (judge(s, x->exact, &v, e) < 0)
		return err_wrap(e, "compare %s of %s", x->name, b->name);
	object = json_push_object(comparisons, e);
	if (!object || json_put(object, "benchmark", json_outside_text(b->name), e) < 0 ||
	    json_put(object, "params", params_make(b, e), e) < 0 ||
	    json_put(object, "metric", json_string(x->name), e) < 0 ||
	    json_put(object, "base", json_outside_text(a->target), e) < 0 ||
	    json_put(object, "new", json_outside_text(b->target), e) < 0 ||
	    json_put(object, "ratio", json_number(v.ratio.estimate), e) < 0 ||
	    add_interval(object, &v.ratio, e) < 0 ||
	    json_put(object, "method", json_string(v.method), e) < 0 ||
	    json_put(object, "p", json_number(v.p), e) < 0 ||
	    json_put(object, "pairs", s->paired ? json_u64(s->m) : json_null(), e) < 0)
		return -1;
	return 0;
}

static int compare_two(json_t *comparisons, const struct benchmark *a,
		       const struct metric_list *base, const struct benchmark *b,
		       const struct metric_list *new, struct err *e)
{
	CLEANUP_FREE double *x = calloc(a->n_runs ? a->n_runs : 1, sizeof(*x));
	CLEANUP_FREE double *y =
		calloc(a->n_runs + b->n_runs ? a->n_runs + b->n_runs : 1, sizeof(*y));

	if (!x || !y)
		return err_nomem(e);
	for (size_t i = 0; i < base->n; i++) {
		const struct metric *from = &base->metric[i];
		const struct metric *to = metric_find(new, from->name);
		struct sides s = { .x = x, .y = y, .paired = is_paired(a, b) };

		if (!to || !is_comparable(from))
			continue;
		if (s.paired)
			collect_pairs(&s, a, from, b, to);
		else
			collect_apart(&s, a, from, b, to);
		if (add_one(comparisons, a, b, from, &s, e) < 0)
			return -1;
	}
	return 0;
}

int comparison_add(json_t *comparisons, const struct measurement *m,
		   const struct metric_list *lists, struct err *e)
{
	for (size_t i = 1; i < m->n; i++) {
		const struct benchmark *b = &m->benchmark[i];
		size_t first = 0;

		while (first < i && !same_case(&m->benchmark[first], b))
			first++;
		if (first == i || strcmp(m->benchmark[first].target, b->target) == 0)
			continue;
		if (compare_two(comparisons, &m->benchmark[first], &lists[first], b, &lists[i], e) <
		    0)
			return -1;
	}
	return 0;
}
