#include "result/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "result/diff-files.h"
#include "stats/compare.h"
#include "stats/summary.h"

struct making {
	const struct side *base, *new;
	const struct diff_rules *rules;
	struct report *report;
	bool gate_used[OPT_LIST_MAX];
	struct err *e;
};

/* Every run of both sides belongs to an interleaved session, and no pair stands twice. */
static bool all_paired(const struct side_case *c)
{
	for (size_t i = 0; i < c->n_runs; i++)
		if (!c->run[i].session)
			return false;
	return c->n_runs > 0;
}

static bool same_pair(const struct side_run *a, const struct side_run *b)
{
	return a->pair == b->pair && strcmp(a->session, b->session) == 0;
}

static size_t collect_pairs(const struct side_case *a, const struct side_metric *x,
			    const struct side_case *b, const struct side_metric *y, double *out_x,
			    double *out_y)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n_runs; i++)
		for (size_t k = 0; k < b->n_runs; k++) {
			if (!same_pair(&a->run[i], &b->run[k]))
				continue;
			if (isfinite(x->values[i]) && isfinite(y->values[k])) {
				out_x[n] = x->values[i];
				out_y[n++] = y->values[k];
			}
			break;
		}
	return n;
}

static size_t collect(const struct side_case *c, const struct side_metric *m, double *out)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_runs; i++)
		if (isfinite(m->values[i]))
			out[n++] = m->values[i];
	return n;
}

/* Headline first; a change of the maximum or the share of failures is shown, but says little about the typical case. */
static bool gates_by_default(const struct side_case *c, const struct side_metric *m, bool agree)
{
	return strcmp(c->headline, m->name) == 0 || (m->exact && agree);
}

static bool gates_by_option(struct making *m, const struct side_case *c, const char *metric)
{
	bool any = false;

	for (size_t i = 0; i < m->rules->n_gates; i++)
		if (selector_matches(&m->rules->gate[i], c->name, c->target, c->params, metric))
			any = m->gate_used[i] = true;
	return any;
}

static double threshold_of(const struct diff_rules *rules, const struct side_case *c,
			   const char *metric, bool count)
{
	double threshold = count ? 0 : rules->threshold;

	for (size_t i = 0; i < rules->n_thresholds; i++)
		if (selector_matches(&rules->threshold_of[i].of, c->name, c->target, c->params,
				     metric))
			threshold = rules->threshold_of[i].value;
	return threshold;
}

static struct report_row *add_row(struct making *m, const struct side_case *c,
				  const struct side_metric *metric)
{
	struct report_row *row = report_add(m->report, m->e);

	if (!row)
		return NULL;
	row->benchmark = c->name;
	row->target = c->target;
	row->params = c->params;
	row->metric = metric->name;
	row->unit = metric->unit;
	row->better = metric->better;
	row->headline = strcmp(c->headline, metric->name) == 0;
	return row;
}

static int judge(struct making *m, const struct side_case *a, const struct side_metric *x,
		 const struct side_case *b, const struct side_metric *y)
{
	CLEANUP_FREE double *base = calloc(a->n_runs + 1, sizeof(*base));
	CLEANUP_FREE double *new = calloc(a->n_runs + b->n_runs + 1, sizeof(*new));
	struct samples s = { .x = base, .y = new, .count = x->exact && y->exact };
	struct report_row *row = add_row(m, b, y);

	if (!base || !new || !row)
		return row ? err_nomem(m->e) : -1;
	s.paired = all_paired(a) && all_paired(b);
	if (s.paired)
		s.m = s.n = collect_pairs(a, x, b, y, base, new);
	if (!s.m) {
		s.paired = false;
		s.m = collect(a, x, base);
		s.n = collect(b, y, new);
	}
	row->n_base = s.m;
	row->n = s.n;
	if (!s.m || !s.n) {
		row->gates = row->headline || gates_by_option(m, b, y->name);
		row->verdict = s.m ? VERDICT_MISSING : s.n ? VERDICT_ADDED : VERDICT_NONE;
		if (s.m) {
			summary_sort(base, s.m);
			row->base = summary_median_sorted(base, s.m);
		}
		if (s.n)
			report_median(row, new, s.n);
		return 0;
	}
	if (verdict_estimate(&s, &row->estimate, m->e) < 0)
		return err_wrap(m->e, "%s %s", b->name, y->name);
	m->report->paired = m->report->paired || s.paired;
	row->exact = row->estimate.method == VERDICT_BY_COUNT;
	row->gates = gates_by_option(m, b, y->name) || gates_by_default(b, y, row->exact);
	row->base = row->estimate.base;
	row->threshold = threshold_of(m->rules, b, y->name, row->exact);
	report_median(row, new, s.n);
	row->p = row->estimate.p;
	return 0;
}

/* A metric, or a whole case by its headline, that one side only has. */
static int one_sided(struct making *m, const struct side_case *c, const struct side_metric *metric,
		     enum verdict verdict)
{
	CLEANUP_FREE double *values = calloc(c->n_runs + 1, sizeof(*values));
	struct report_row *row = add_row(m, c, metric);
	size_t n;

	if (!values || !row)
		return row ? err_nomem(m->e) : -1;
	n = collect(c, metric, values);
	row->verdict = verdict;
	row->gates = gates_by_option(m, c, metric->name) || gates_by_default(c, metric, true);
	if (verdict == VERDICT_ADDED) {
		report_median(row, values, n);
		return 0;
	}
	summary_sort(values, n);
	row->base = summary_median_sorted(values, n);
	row->n_base = n;
	return 0;
}

static int compare_case(struct making *m, const struct side_case *a, const struct side_case *b)
{
	for (size_t i = 0; i < a->n_metrics; i++) {
		const struct side_metric *y = side_metric_find(b, a->metric[i].name);

		if (y && (strcmp(y->unit, a->metric[i].unit) != 0))
			return err_set(m->e, ERR_USAGE, "unlike",
				       "%s %s is in %s in one file, in %s in the other", a->name,
				       y->name, a->metric[i].unit, y->unit);
		if ((y ? judge(m, a, &a->metric[i], b, y)
		       : one_sided(m, a, &a->metric[i], VERDICT_MISSING)) < 0)
			return -1;
	}
	for (size_t i = 0; i < b->n_metrics; i++)
		if (!side_metric_find(a, b->metric[i].name) &&
		    one_sided(m, b, &b->metric[i], VERDICT_ADDED) < 0)
			return -1;
	return 0;
}

static int whole_case(struct making *m, const struct side_case *c, enum verdict verdict)
{
	const struct side_metric *headline = side_metric_find(c, c->headline);
	static char none[] = "(no run succeeded)", unit[] = "";
	const struct side_metric nothing = { .name = none, .unit = unit, .better = BETTER_NONE };
	size_t before = m->report->n;

	if (headline)
		return one_sided(m, c, headline, verdict);
	if (c->n_metrics) {
		if (one_sided(m, c, &c->metric[0], verdict) < 0)
			return -1;
		m->report->row[before].gates = true;
		return 0;
	}
	if (!add_row(m, c, &nothing))
		return -1;
	m->report->row[before].metric = "(nothing was measured)";
	m->report->row[before].unit = "";
	m->report->row[before].verdict = verdict;
	m->report->row[before].gates = true;
	return 0;
}

static int match(struct making *m)
{
	size_t matched = 0;

	for (size_t i = 0; i < m->base->n_cases; i++) {
		const struct side_case *a = &m->base->cases[i];
		const struct side_case *b = side_case_find(m->new, a);

		matched += b != NULL;
		if ((b ? compare_case(m, a, b) : whole_case(m, a, VERDICT_MISSING)) < 0)
			return -1;
	}
	for (size_t i = 0; i < m->new->n_cases; i++)
		if (!side_case_find(m->base, &m->new->cases[i]) &&
		    whole_case(m, &m->new->cases[i], VERDICT_ADDED) < 0)
			return -1;
	if (matched == 0)
		return err_set(m->e, ERR_USAGE, "nothing-matches",
			       "nothing to compare: no case with the same name, target label and "
			       "parameters is in both %s and %s",
			       m->base->file[0].name, m->new->file[0].name);
	return 0;
}

/* Holm over the rows that gate, or over those that do not. */
static int adjust(struct report *r, bool gating, struct err *e)
{
	CLEANUP_FREE double *p = calloc(r->n + 1, sizeof(*p));
	CLEANUP_FREE double *adjusted = calloc(r->n + 1, sizeof(*adjusted));
	size_t n = 0, k = 0;

	if (!p || !adjusted)
		return err_nomem(e);
	for (size_t i = 0; i < r->n; i++)
		if (r->row[i].gates == gating && !isnan(r->row[i].p))
			p[n++] = r->row[i].p;
	if (compare_holm(p, n, adjusted, e) < 0)
		return -1;
	for (size_t i = 0; i < r->n; i++)
		if (r->row[i].gates == gating && !isnan(r->row[i].p))
			r->row[i].p = adjusted[k++];
	if (gating)
		r->family = n;
	return 0;
}

static size_t family_size(const struct report *r, bool gating)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->row[i].gates == gating && !isnan(r->row[i].p);
	return n ? n : 1;
}

static void decide(struct report *r, const struct diff_rules *rules)
{
	size_t gating = family_size(r, true), others = family_size(r, false);

	for (size_t i = 0; i < r->n; i++) {
		struct report_row *row = &r->row[i];
		struct verdict_rules how = {
			.better = row->better,
			.threshold = row->threshold,
			.strict = rules->strict,
			.p = row->p,
			.family = row->gates ? gating : others,
		};

		if (row->n && row->n_base) {
			row->verdict = verdict_of(&row->estimate, &how);
			row->runs_needed = verdict_runs_needed(&row->estimate, &how);
		}
		(row->gates ? r->gating : r->shown)[row->verdict]++;
	}
}

static int severity(const struct report_row *row)
{
	static const int of[VERDICTS] = {
		[VERDICT_REGRESSION] = 0,  [VERDICT_MISSING] = 1,   [VERDICT_INCONCLUSIVE] = 2,
		[VERDICT_IMPROVEMENT] = 3, [VERDICT_UNCHANGED] = 4, [VERDICT_ADDED] = 5,
		[VERDICT_NONE] = 6,
	};

	return of[row->verdict];
}

/* How much worse the new side is, as a logarithm; larger is worse. */
static double worsening(const struct report_row *row)
{
	double change = row->estimate.ratio > 0	     ? log(row->estimate.ratio)
			: isnan(row->estimate.ratio) ? row->estimate.direction * 1e9
						     : -1e9;

	return row->better == BETTER_HIGHER ? -change : change;
}

static int compare_rows(const void *x, const void *y)
{
	const struct report_row *a = x, *b = y;
	double worse_a = worsening(a), worse_b = worsening(b);
	int by_case;

	if (a->gates != b->gates)
		return a->gates ? -1 : 1;
	if (severity(a) != severity(b))
		return severity(a) - severity(b);
	if (worse_a > worse_b || worse_a < worse_b)
		return worse_a > worse_b ? -1 : 1;
	by_case = strcmp(a->benchmark, b->benchmark);
	by_case = by_case ? by_case : strcmp(a->params, b->params);
	by_case = by_case ? by_case : strcmp(a->target, b->target);
	return by_case ? by_case : strcmp(a->metric, b->metric);
}

static int check_gates(const struct making *m)
{
	for (size_t i = 0; i < m->rules->n_gates; i++)
		if (!m->gate_used[i])
			return err_set(m->e, ERR_USAGE, "unknown-metric",
				       "--gate %s: no metric of these files is called that",
				       m->rules->gate[i].text);
	return 0;
}

int diff_make(const struct side *base, const struct side *new, const struct diff_rules *rules,
	      struct report *out, struct err *e)
{
	struct making m = { .base = base, .new = new, .rules = rules, .report = out, .e = e };

	*out = (struct report){ .compared = true,
				.base_name = base->file[0].name,
				.new_name = new->file[0].name,
				.threshold = rules->threshold,
				.strict = rules->strict };
	if (diff_comparable(base, new, rules, e) < 0 || diff_notes(base, new, out, e) < 0 ||
	    match(&m) < 0 || check_gates(&m) < 0 || adjust(out, true, e) < 0 ||
	    adjust(out, false, e) < 0) {
		report_done(out);
		return -1;
	}
	decide(out, rules);
	qsort(out->row, out->n, sizeof(*out->row), compare_rows);
	return 0;
}

static bool has_verdict(const struct report *r, const char *word)
{
	if (strcmp(word, "noisy") == 0)
		return r->noisy;
	for (enum verdict v = VERDICT_REGRESSION; v < VERDICTS; v++)
		if (strcmp(verdict_name(v), word) == 0)
			return r->gating[v] > 0;
	return false;
}

int diff_status(const struct report *r, const struct opt_strings *fail_on)
{
	if (!fail_on || fail_on->n == 0)
		return has_verdict(r, "regression") ? ERR_CHECK : 0;
	for (size_t i = 0; i < fail_on->n; i++)
		if (has_verdict(r, fail_on->v[i]))
			return ERR_CHECK;
	return 0;
}
