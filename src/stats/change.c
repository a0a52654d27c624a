#include "stats/change.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "stats/rank.h"
#include "stats/summary.h"

/* Shorter windows cannot reach the level that they are left with. */
enum { WINDOW_MIN = 20 };

struct search {
	const double *v;
	size_t n;
	const struct change_options *o;
	uint32_t *rank;
	double *scratch;
	struct change *cut; /* in order */
	size_t n_cuts;
};

static double median(struct search *s, size_t from, size_t to)
{
	memcpy(s->scratch, s->v + from, (to - from) * sizeof(*s->scratch));
	summary_sort(s->scratch, to - from);
	return summary_median_sorted(s->scratch, to - from);
}

/* The best place to cut v[from..to), with its p below `level`; out->at 0 when there is none. */
static int cut_window(struct search *s, size_t from, size_t to, double level, struct change *out,
		      struct err *e)
{
	size_t n = to - from;
	double sum = 0, best = 0, size = (double)n;

	out->at = 0;
	if (n < 2 * (size_t)CHANGE_SEGMENT_MIN)
		return 0;
	if (rank_doubled(s->v + from, n, s->rank, NULL, e) < 0)
		return -1;
	for (size_t i = 1; i <= n - CHANGE_SEGMENT_MIN; i++) {
		double k;

		sum += s->rank[i - 1];
		k = fabs(sum - (double)i * (size + 1));
		if (i >= CHANGE_SEGMENT_MIN && k > best) {
			best = k;
			out->at = from + i;
		}
	}
	out->p = fmin(1, 2 * exp(-6 * best * best / (size * size * size + size * size)));
	if (out->p >= level)
		out->at = 0;
	return 0;
}

/* Windows of each length overlap by half. */
static size_t windows(size_t n, size_t length)
{
	return (n - length) / (length / 2) + 1;
}

/*
 * The whole first. A level that rose and came back hides there, for both sides of any cut are half high: then windows of half
 * the length, a quarter... are tried, which share the same error among them.
 */
static int best_cut(struct search *s, size_t from, size_t to, struct change *out, struct err *e)
{
	size_t n = to - from, count = 0;
	struct change found;

	if (cut_window(s, from, to, s->o->p, out, e) < 0)
		return -1;
	for (size_t length = n / 2; !out->at && length >= WINDOW_MIN; length /= 2)
		count += windows(n, length);
	for (size_t length = n / 2; count && length >= WINDOW_MIN; length /= 2)
		for (size_t i = 0; i < windows(n, length); i++) {
			size_t at = from + i * (length / 2);

			if (cut_window(s, at, at + length, s->o->p / (double)count, &found, e) < 0)
				return -1;
			if (found.at && (!out->at || found.p < out->p))
				*out = found;
		}
	return 0;
}

/* Cuts until no part can be cut any more. */
static int cut_all(struct search *s, struct err *e)
{
	for (size_t part = 0; part <= s->n_cuts;) {
		size_t from = part ? s->cut[part - 1].at : 0;
		size_t to = part < s->n_cuts ? s->cut[part].at : s->n;
		struct change found;

		if (best_cut(s, from, to, &found, e) < 0)
			return -1;
		if (!found.at) {
			part++;
			continue;
		}
		memmove(s->cut + part + 1, s->cut + part, (s->n_cuts - part) * sizeof(*s->cut));
		s->cut[part] = found;
		s->n_cuts++;
	}
	return 0;
}

/* By how much of the earlier level the cut changes it; its medians are brought up to date. */
static double size_of(struct search *s, size_t i)
{
	struct change *c = &s->cut[i];

	c->before = median(s, i ? s->cut[i - 1].at : 0, c->at);
	c->after = median(s, c->at, i + 1 < s->n_cuts ? s->cut[i + 1].at : s->n);
	return fabs(c->after - c->before) / fabs(c->before);
}

static void take_back_small(struct search *s)
{
	for (;;) {
		double smallest = (double)INFINITY;
		size_t at = 0;

		for (size_t i = 0; i < s->n_cuts; i++) {
			double size = size_of(s, i);

			if (isnan(size) || size < smallest) { /* NaN: 0 before and after */
				smallest = isnan(size) ? 0 : size;
				at = i;
			}
		}
		if (!s->n_cuts || smallest >= s->o->magnitude)
			return;
		s->n_cuts--;
		memmove(s->cut + at, s->cut + at + 1, (s->n_cuts - at) * sizeof(*s->cut));
	}
}

/*
 * Where the levels on both sides, as they are known now, fit best. A rank sum is largest where ranks turn, and a few values that are high
 * among the low ones pull it to them.
 */
static void refine(struct search *s, size_t i)
{
	struct change *c = &s->cut[i];
	size_t from = i ? s->cut[i - 1].at : 0;
	size_t to = i + 1 < s->n_cuts ? s->cut[i + 1].at : s->n;
	double cost = 0, least = 0;

	/* The cost of cutting after k, beyond that of cutting at `from`. */
	for (size_t k = from; k + CHANGE_SEGMENT_MIN < to; k++) {
		cost += fabs(s->v[k] - c->before) - fabs(s->v[k] - c->after);
		if (k + 1 >= from + CHANGE_SEGMENT_MIN &&
		    (k + 1 == from + CHANGE_SEGMENT_MIN || cost < least)) {
			least = cost;
			c->at = k + 1;
		}
	}
}

int change_find(const double *v, size_t n, const struct change_options *o, struct change *out,
		size_t max, size_t *n_out, struct err *e)
{
	CLEANUP_FREE uint32_t *rank = calloc(n + 1, sizeof(*rank));
	CLEANUP_FREE double *scratch = calloc(n + 1, sizeof(*scratch));
	CLEANUP_FREE struct change *cut = calloc(n / CHANGE_SEGMENT_MIN + 1, sizeof(*cut));
	struct search s = { .v = v, .n = n, .o = o, .rank = rank, .scratch = scratch, .cut = cut };

	*n_out = 0;
	if (!rank || !scratch || !cut)
		return err_nomem(e);
	if (cut_all(&s, e) < 0)
		return -1;
	take_back_small(&s);
	for (size_t i = 0; i < s.n_cuts; i++)
		refine(&s, i);
	take_back_small(&s);
	*n_out = s.n_cuts < max ? s.n_cuts : max;
	if (*n_out)
		memcpy(out, cut, *n_out * sizeof(*out));
	return 0;
}
