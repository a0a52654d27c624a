#include "result/history.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "result/entry.h"
#include "result/wall.h"

static void point_done(struct history_point *p)
{
	free(p->name);
	free(p->started_at);
	free(p->run_id);
	free(p->commit);
	free(p->machine);
	free(p->status);
	*p = (struct history_point){ 0 };
}

static void series_free(struct history_series *s)
{
	free(s->benchmark);
	free(s->target);
	free(s->params);
	free(s->metric);
	free(s->unit);
	free(s->config);
	free(s->value);
}

void history_done(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		point_done(&h->point[i]);
	for (size_t i = 0; i < h->n_series; i++)
		series_free(&h->series[i]);
	free(h->point);
	free(h->series);
	json_decref(h->index);
	json_decref(h->run_ids);
	*h = (struct history){ .log = h->log };
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static uint64_t count_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static int point_fill(struct history_point *p, const char *name, const json_t *entry, size_t order,
		      struct err *e)
{
	*p = (struct history_point){ .seq = count_of(entry, "seq"),
				     .duration_ns = count_of(entry, "duration_ns"),
				     .order = order };
	if (wall_parse(text_of(entry, "started_at"), &p->at_ns) < 0)
		return err_set(e, ERR_USAGE, "time", "%s: started_at is before 1970 or after 2200",
			       name);
	p->name = strdup(name);
	p->started_at = strdup(text_of(entry, "started_at"));
	p->run_id = strdup(text_of(entry, "run_id"));
	p->commit = strdup(text_of(entry, "commit"));
	p->machine = strdup(text_of(entry, "machine"));
	p->status = strdup(text_of(entry, "status"));
	if (!p->name || !p->started_at || !p->run_id || !p->commit || !p->machine || !p->status)
		return err_nomem(e);
	return 0;
}

static int add_point(struct history *h, const char *name, const json_t *entry, struct err *e)
{
	if (h->n == HISTORY_POINTS_MAX)
		return err_set(e, ERR_USAGE, "history", "more than %d results", HISTORY_POINTS_MAX);
	if (h->n == h->room) {
		size_t room = h->room ? 2 * h->room : 16;
		struct history_point *grown = reallocarray(h->point, room, sizeof(*grown));

		if (!grown)
			return err_nomem(e);
		h->point = grown;
		h->room = room;
	}
	if (point_fill(&h->point[h->n], name, entry, h->n ? h->point[h->n - 1].order + 1 : 0, e) <
	    0) {
		point_done(&h->point[h->n]);
		return -1;
	}
	h->n++;
	return 0;
}

static int series_fill(struct history_series *s, const json_t *entry, const json_t *benchmark,
		       const char *metric, const json_t *of, struct err *e)
{
	const char *better = text_of(of, "better");

	*s = (struct history_series){
		.better = strcmp(better, "lower") == 0	  ? BETTER_LOWER
			  : strcmp(better, "higher") == 0 ? BETTER_HIGHER
							  : BETTER_NONE,
		.headline = strcmp(text_of(benchmark, "headline"), metric) == 0,
		.exact = true,
	};
	s->benchmark = strdup(text_of(benchmark, "name"));
	s->target = strdup(text_of(benchmark, "target"));
	s->params = strdup(text_of(benchmark, "params"));
	s->metric = strdup(metric);
	s->unit = strdup(text_of(of, "unit"));
	s->config = strdup(text_of(entry, "config"));
	if (!s->benchmark || !s->target || !s->params || !s->metric || !s->unit || !s->config)
		return err_nomem(e);
	return 0;
}

static struct history_series *new_series(struct history *h, const char *key, const json_t *entry,
					 const json_t *benchmark, const char *metric,
					 const json_t *of, struct err *e)
{
	struct history_series *s;

	if (h->n_series == HISTORY_SERIES_MAX) {
		err_set(e, ERR_USAGE, "history", "more than %d metrics", HISTORY_SERIES_MAX);
		return NULL;
	}
	if ((h->n_series & (h->n_series - 1)) == 0) {
		size_t room = h->n_series ? 2 * h->n_series : 1;
		struct history_series *grown = reallocarray(h->series, room, sizeof(*grown));

		if (!grown) {
			err_nomem(e);
			return NULL;
		}
		h->series = grown;
	}
	s = &h->series[h->n_series++];
	if (series_fill(s, entry, benchmark, metric, of, e) < 0 ||
	    json_put(h->index, key, json_integer((json_int_t)h->n_series - 1), e) < 0)
		return NULL;
	return s;
}

/* Another unit is another metric. */
static struct history_series *find_series(struct history *h, const json_t *entry,
					  const json_t *benchmark, const char *metric,
					  const json_t *of, struct err *e)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT;
	const json_t *at;

	buf_addf(&key, "%s\x1f%s\x1f%s\x1f%s\x1f%s\x1f%s", text_of(entry, "config"),
		 text_of(benchmark, "name"), text_of(benchmark, "target"),
		 text_of(benchmark, "params"), metric, text_of(of, "unit"));
	if (key.failed) {
		err_nomem(e);
		return NULL;
	}
	at = json_object_get(h->index, buf_text(&key));
	if (at)
		return &h->series[json_integer_value(at)];
	return new_series(h, buf_text(&key), entry, benchmark, metric, of, e);
}

/* Room for all points; what is new is NaN. */
static int stretch(const struct history *h, struct history_series *s, struct err *e)
{
	double *grown;

	if (s->room >= h->n)
		return 0;
	if (h->n_series > HISTORY_VALUES_MAX / h->room)
		return err_set(e, ERR_USAGE, "history", "too many metrics in too many results");
	grown = reallocarray(s->value, h->room, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	for (size_t i = s->room; i < h->room; i++)
		grown[i] = (double)NAN;
	s->value = grown;
	s->room = h->room;
	return 0;
}

static int add_values(struct history *h, const json_t *entry, const json_t *benchmark,
		      struct err *e)
{
	json_t *metrics = json_object_get(benchmark, "metrics"), *of;
	const char *name;

	json_object_foreach(metrics, name, of)
	{
		const json_t *value = json_object_get(of, "value");
		struct history_series *s = find_series(h, entry, benchmark, name, of, e);

		if (!s || stretch(h, s, e) < 0)
			return -1;
		s->exact = s->exact && strcmp(text_of(of, "assume"), "exact") == 0;
		s->value[h->n - 1] = json_is_number(value) ? json_number_value(value) : (double)NAN;
	}
	return 0;
}

int history_add(struct history *h, const char *name, const json_t *entry, struct err *e)
{
	const json_t *benchmark;
	size_t i;

	const char *run_id = text_of(entry, "run_id");

	if (!h->index)
		h->index = json_object();
	if (!h->run_ids)
		h->run_ids = json_object();
	if (!h->index || !h->run_ids)
		return err_nomem(e);
	if (entry_check(entry, e) < 0)
		return err_wrap(e, "%s", name);
	if (json_object_get(h->run_ids, run_id)) {
		h->skipped++;
		log_say(&h->log, LOG_WARNING, "twice", "%s is there already: not counted again",
			name);
		return 0;
	}
	if (add_point(h, name, entry, e) < 0 ||
	    (*run_id && json_put(h->run_ids, run_id, json_true(), e) < 0))
		return -1;
	json_array_foreach(json_object_get(entry, "benchmarks"), i, benchmark)
	{
		if (add_values(h, entry, benchmark, e) < 0)
			return -1;
	}
	for (i = 0; i < h->n_series; i++)
		if (stretch(h, &h->series[i], e) < 0)
			return -1;
	return 0;
}

static int compare_points(const void *a, const void *b)
{
	const struct history_point *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

int history_sort(struct history *h, struct err *e)
{
	CLEANUP_FREE size_t *place = calloc(h->n + 1, sizeof(*place));
	CLEANUP_FREE double *old = calloc(h->n + 1, sizeof(*old));

	if (!place || !old)
		return err_nomem(e);
	for (size_t i = 0; i < h->n; i++)
		h->point[i].order = i;
	if (h->n)
		qsort(h->point, h->n, sizeof(*h->point), compare_points);
	for (size_t i = 0; i < h->n; i++) {
		place[i] = h->point[i].order;
		h->point[i].order = i;
	}
	for (size_t k = 0; k < h->n_series && h->n; k++) {
		memcpy(old, h->series[k].value, h->n * sizeof(*old));
		for (size_t i = 0; i < h->n; i++)
			h->series[k].value[i] = old[place[i]];
	}
	return 0;
}

void history_keep_last(struct history *h, size_t n)
{
	size_t drop = h->n > n ? h->n - n : 0;

	if (!drop)
		return;
	for (size_t i = 0; i < drop; i++) {
		json_object_del(h->run_ids, h->point[i].run_id);
		point_done(&h->point[i]);
	}
	memmove(h->point, h->point + drop, (h->n - drop) * sizeof(*h->point));
	h->n -= drop;
	for (size_t k = 0; k < h->n_series; k++) {
		double *v = h->series[k].value;

		memmove(v, v + drop, h->n * sizeof(*v));
		for (size_t i = h->n; i < h->series[k].room; i++)
			v[i] = (double)NAN;
	}
}
