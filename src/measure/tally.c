#include "measure/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "measure/worker.h"

static size_t count_names(const char *const *names)
{
	size_t n = 0;

	while (names && names[n])
		n++;
	return n;
}

static void sub_record(struct sub_sink *sink, unsigned index, uint64_t value)
{
	struct tally *t = CONTAINER_OF(sink, struct tally, sink);

	if (t->listening && index < t->n_subs)
		series_record(&t->distribution[t->subs + index].series, value);
}

/* Takes the next distribution; the room was counted before. */
static size_t add(struct tally *t, const char *name, const char *unit, enum better better)
{
	t->distribution[t->n].name = name;
	t->distribution[t->n].unit = unit;
	t->distribution[t->n].better = better;
	return t->n++;
}

static int lay_out(struct tally *t, const struct work *k, struct err *e)
{
	const struct engine_case *c = k->c;
	size_t room;

	t->n_phases = count_names(c->phases);
	t->n_subs = count_names(c->subs);
	if (t->n_phases > OUTCOME_MARKS)
		t->n_phases = OUTCOME_MARKS;
	room = 4 + t->n_phases + t->n_subs;
	t->distribution = calloc(room, sizeof(*t->distribution));
	if (!t->distribution)
		return err_nomem(e);
	t->service_time = t->value = SIZE_MAX;
	add(t, "latency", "ns", BETTER_LOWER);
	if (k->interval_ns)
		t->service_time = add(t, "service_time", "ns", BETTER_LOWER);
	t->first_byte = add(t, "first_byte", "ns", BETTER_LOWER);
	t->phases = t->n;
	for (size_t i = 0; i < t->n_phases; i++)
		add(t, c->phases[i], "ns", BETTER_LOWER);
	t->subs = t->n;
	for (size_t i = 0; i < t->n_subs; i++)
		add(t, c->subs[i], "ns", BETTER_LOWER);
	if (c->value_name)
		t->value = add(t, c->value_name, c->value_unit ? c->value_unit : "count",
			       c->value_better);
	return 0;
}

int tally_init(struct tally *t, const struct work *k, struct err *e)
{
	size_t expect = k->iterations ? k->iterations : 4096;

	t->c = k->c;
	t->sink.record = sub_record;
	/* late: beyond a tenth of the interval, but scheduling noise below 1 ms is not the target's fault */
	t->late_limit_ns = k->interval_ns / 10 > NS_PER_MS ? k->interval_ns / 10 : NS_PER_MS;
	if (lay_out(t, k, e) < 0)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		if (series_init(&t->distribution[i].series, expect, e) < 0)
			return -1;
	return 0;
}

void tally_done(struct tally *t)
{
	for (size_t i = 0; t->distribution && i < t->n; i++)
		series_done(&t->distribution[i].series);
	free(t->distribution);
	t->distribution = NULL;
}

static void count_error(struct tally *t, const char *name, const char *detail, uint64_t times)
{
	for (size_t i = 0; i < t->n_errors; i++) {
		if (strcmp(t->error[i].name, name) == 0) {
			t->error[i].count += times;
			return;
		}
	}
	if (t->n_errors == RUN_ERRORS_MAX) {
		t->error[RUN_ERRORS_MAX - 1].count +=
			times; /* a wild target: the last class collects */
		return;
	}
	t->error[t->n_errors].name = name;
	t->error[t->n_errors].count = times;
	snprintf(t->error[t->n_errors].detail, sizeof(t->error[0].detail), "%s",
		 detail ? detail : "");
	t->n_errors++;
}

static void record(struct tally *t, size_t index, uint64_t from, uint64_t to)
{
	series_record(&t->distribution[index].series, ns_since(from, to));
}

static void record_phases(struct tally *t, const struct outcome *o)
{
	uint64_t from = o->sent_ns;

	for (size_t i = 0; i < t->n_phases; i++) {
		if (!o->mark_ns[i])
			continue;
		record(t, t->phases + i, from, o->mark_ns[i]);
		from = o->mark_ns[i];
	}
}

void tally_operation(struct tally *t, const struct outcome *o, bool measured)
{
	uint64_t from = o->planned_ns ? o->planned_ns : o->sent_ns;

	if (!t->seen_first) {
		t->seen_first = true;
		t->first_ns = o->failure ? 0 : ns_since(from, o->done_ns);
	}
	if (!measured) {
		t->warmed++;
		return;
	}
	if (o->planned_ns && o->sent_ns > o->planned_ns + t->late_limit_ns)
		t->late_sends++;
	if (o->failure) {
		t->failed++;
		count_error(t, o->failure, o->detail, 1);
		return;
	}
	t->ok++;
	t->bytes += o->bytes;
	record(t, 0, from, o->done_ns);
	if (t->service_time != SIZE_MAX)
		record(t, t->service_time, o->sent_ns, o->done_ns);
	if (o->first_ns)
		record(t, t->first_byte, o->sent_ns, o->first_ns);
	record_phases(t, o);
	if (o->has_value && t->value != SIZE_MAX)
		series_record(&t->distribution[t->value].series, o->value);
}

void tally_failure(struct tally *t, const struct outcome *o)
{
	t->failed++;
	count_error(t, o->failure, o->detail, 1);
}

void tally_not_sent(struct tally *t, uint64_t n)
{
	if (n == 0)
		return;
	t->failed += n;
	count_error(t, "not-sent", "the target could not keep up with the planned rate", n);
}

/* The run's own distributions: empty ones are left out at the end of the run, so every worker makes all of them. */
static int make_distributions(const struct tally *t, struct run *run, struct err *e)
{
	run->distribution = calloc(t->n ? t->n : 1, sizeof(*run->distribution));
	if (!run->distribution)
		return err_nomem(e);
	for (size_t i = 0; i < t->n; i++) {
		struct distribution *d = &run->distribution[i];

		*d = t->distribution[i];
		memset(&d->series, 0, sizeof(d->series));
		run->n_distributions = i + 1;
		if (series_init(&d->series, 0, e) < 0)
			return -1;
	}
	return 0;
}

static int merge_errors(const struct tally *t, struct run *run)
{
	for (size_t i = 0; i < t->n_errors; i++) {
		size_t k = 0;

		while (k < run->n_errors && strcmp(run->error[k].name, t->error[i].name) != 0)
			k++;
		if (k == run->n_errors) {
			if (k == RUN_ERRORS_MAX)
				k--;
			else
				run->error[run->n_errors++] = (struct error_count){
					.name = t->error[i].name,
				};
			memcpy(run->error[k].detail, t->error[i].detail,
			       sizeof(run->error[k].detail));
		}
		run->error[k].count += t->error[i].count;
	}
	return 0;
}

int tally_add_to_run(const struct tally *t, struct run *run, struct err *e)
{
	if (!run->distribution && make_distributions(t, run, e) < 0)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		if (series_merge(&run->distribution[i].series, &t->distribution[i].series, e) < 0)
			return -1;
	run->ok += t->ok;
	run->failed += t->failed;
	run->warmup_discarded += t->warmed;
	run->reopened += t->reopened;
	run->bytes += t->bytes;
	run->late_sends += t->late_sends;
	run->planned += t->planned;
	if (t->first_ns && (!run->first_ns || t->first_ns < run->first_ns))
		run->first_ns = t->first_ns;
	return merge_errors(t, run);
}
