/* The engine on a fake clock: every time below is exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/stop.h"
#include "measure/engine.h"

/* A session that answers each operation after a time of its own choosing. */
struct world {
	uint64_t open_ns, service_ns;
	unsigned stall_at; /* operation number that takes stall_ns, 0: none */
	uint64_t stall_ns;
	unsigned silent_from; /* operations from this number on never answer, 0: none */
	unsigned fail_every;  /* every nth operation fails */
	bool break_on_failure, refuse_open, immediate;
	unsigned stop_at; /* raises the stop flag at this operation */
	/* what happened */
	unsigned made, freed, opened, closed, started, cancelled;
	char order[256];
	const char *label;
};

struct fake {
	struct session s;
	struct timer t;
	struct world *w;
	uint64_t sent_ns;
	bool opening, closing;
	struct sub_sink *sink;
};

static void answer(struct fake *f)
{
	struct outcome o = { .sent_ns = f->sent_ns, .done_ns = loop_now(f->s.loop) };

	o.first_ns = o.sent_ns;
	if (f->opening) {
		f->opening = false;
		f->w->opened++;
		if (f->w->refuse_open) {
			o.failure = "refused";
			f->s.broken = true;
		}
	} else if (f->closing) {
		f->w->closed++;
	} else if (f->w->fail_every && f->w->started % f->w->fail_every == 0) {
		o.failure = "remote-error";
		o.detail = "said no";
		f->s.broken = f->w->break_on_failure;
	} else {
		o.bytes = 100;
		o.mark_ns[0] = o.sent_ns + 1000;
		o.mark_ns[1] = o.done_ns;
		if (f->sink)
			f->sink->record(f->sink, 0, 77);
	}
	f->s.done(&f->s, &o);
}

static void fired(struct timer *t, uint64_t now)
{
	(void)now;
	answer(CONTAINER_OF(t, struct fake, t));
}

static void later(struct fake *f, uint64_t ns)
{
	f->sent_ns = loop_now(f->s.loop);
	if (ns == 0)
		answer(f);
	else
		timer_set(f->s.loop, &f->t, f->sent_ns + ns, fired);
}

static void fake_open(struct session *s)
{
	struct fake *f = CONTAINER_OF(s, struct fake, s);

	f->opening = true;
	later(f, f->w->open_ns);
}

static void fake_start(struct session *s)
{
	struct fake *f = CONTAINER_OF(s, struct fake, s);
	struct world *w = f->w;

	w->started++;
	if (w->stop_at && w->started == w->stop_at)
		stop_set(2);
	f->sent_ns = loop_now(s->loop);
	if (w->silent_from && w->started >= w->silent_from)
		return;
	later(f, w->immediate				    ? 0
		 : w->stall_at && w->started == w->stall_at ? w->stall_ns
							    : w->service_ns);
}

static void fake_cancel(struct session *s)
{
	struct fake *f = CONTAINER_OF(s, struct fake, s);

	f->w->cancelled++;
	timer_cancel(s->loop, &f->t);
}

static void fake_close(struct session *s)
{
	struct fake *f = CONTAINER_OF(s, struct fake, s);

	f->closing = true;
	later(f, 0);
}

static void fake_free(struct session *s)
{
	struct fake *f = CONTAINER_OF(s, struct fake, s);

	timer_cancel(s->loop, &f->t);
	f->w->freed++;
	free(f);
}

/* Asked while what is stalled is still under way. */
static void fake_stalled(struct session *s, char *out, size_t size)
{
	snprintf(out, size, "no pong after ping %u", CONTAINER_OF(s, struct fake, s)->w->started);
}

static const struct session_ops fake_ops = {
	.open = fake_open,
	.start = fake_start,
	.cancel = fake_cancel,
	.close = fake_close,
	.free = fake_free,
	.stalled = fake_stalled,
};

static int fake_make(void *ctx, struct loop *loop, unsigned index, struct sub_sink *sink,
		     struct session **out, struct err *e)
{
	struct world *w = ctx;
	struct fake *f = calloc(1, sizeof(*f));

	(void)index;
	if (!f)
		return err_nomem(e);
	f->s.ops = &fake_ops;
	f->s.loop = loop;
	f->w = w;
	f->sink = sink;
	w->made++;
	*out = &f->s;
	return 0;
}

static int fake_loop(struct loop **out, struct err *e)
{
	return loop_new_fake(out, NS_PER_SEC, e);
}

static const char *const phases[] = { "phase.ask", "phase.answer", NULL };
static const char *const subs[] = { "block_rtt", NULL };

static struct engine_case case_of(struct world *w)
{
	return (struct engine_case){
		.name = "test.op",
		.target = "t1",
		.make = fake_make,
		.ctx = w,
		.phases = phases,
		.subs = subs,
	};
}

static void go(struct plan *p, struct engine_case *c, size_t n, struct measurement *m)
{
	struct engine g = { .plan = p, .cases = c, .n_cases = n, .make_loop = fake_loop };
	struct err e = { 0 };

	if (engine_run(&g, m, &e) < 0)
		fail_msg("engine: %s", e.msg);
}

static const struct run *run0(const struct measurement *m)
{
	assert_true(m->n >= 1 && m->benchmark[0].n_runs >= 1);
	return &m->benchmark[0].run[0];
}

static void closed_loop_counts_and_times(void **state)
{
	struct world w = { .open_ns = 5 * NS_PER_MS, .service_ns = 200 * NS_PER_US };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };
	const struct run *r;

	(void)state;
	p.iterations = 100;
	p.warmup = 7;
	p.runs = 3;
	go(&p, &c, 1, &m);
	r = run0(&m);
	assert_int_equal(m.benchmark[0].n_runs, 3);
	assert_int_equal(w.started, 3 * 107);
	assert_int_equal(w.made, 3);
	assert_int_equal(w.freed, 3);
	assert_int_equal(w.closed, 3);
	assert_int_equal(r->ok, 100);
	assert_int_equal(r->warmup_discarded, 7);
	assert_int_equal(r->bytes, 100 * 100);
	assert_int_equal(r->duration_ns, 100 * 200 * NS_PER_US);
	assert_int_equal(r->first_ns, 200 * NS_PER_US);
	assert_int_equal(run_distribution(r, "latency")->series.min, 200 * NS_PER_US);
	assert_int_equal(run_distribution(r, "latency")->series.max, 200 * NS_PER_US);
	assert_int_equal(run_distribution(r, "phase.ask")->series.max, 1000);
	assert_int_equal(run_distribution(r, "phase.answer")->series.max, 200 * NS_PER_US - 1000);
	/* sub-samples of the warm-up are not recorded */
	assert_int_equal(run_distribution(r, "block_rtt")->series.n, 100);
	assert_null(run_distribution(r, "service_time"));
}

static void concurrency_shares_the_operations(void **state)
{
	struct world w = { .service_ns = NS_PER_MS };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };

	(void)state;
	p.iterations = 100;
	p.warmup = 0;
	p.runs = 1;
	p.concurrency = 10;
	go(&p, &c, 1, &m);
	assert_int_equal(w.made, 10);
	assert_int_equal(run0(&m)->ok, 100);
	assert_int_equal(run0(&m)->duration_ns, 10 * NS_PER_MS);
}

/* 1,000 a second, 0.1 ms of service, one stall of 100 ms: those planned during the stall wait for its end. */
static void open_loop_is_timed_from_plan(void **state)
{
	struct world w = { .service_ns = 100 * NS_PER_US,
			   .stall_at = 100,
			   .stall_ns = 100 * NS_PER_MS };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };
	const struct series *latency, *service;

	(void)state;
	p.iterations = 1000;
	p.warmup = 0;
	p.runs = 1;
	p.rate = 1000;
	go(&p, &c, 1, &m);
	latency = &run_distribution(run0(&m), "latency")->series;
	service = &run_distribution(run0(&m), "service_time")->series;
	assert_int_equal(latency->n, 1000);
	assert_int_equal(service->max, 100 * NS_PER_MS);
	assert_int_equal(series_percentile(service, 990000), 100 * NS_PER_US);
	assert_int_equal(latency->max, 100 * NS_PER_MS);
	/* operation 101 was planned 1 ms after the 100th was: it waited 99 ms and took 0.1 */
	assert_int_equal(latency->raw[100], 99 * NS_PER_MS + 100 * NS_PER_US);
	assert_true(series_percentile(latency, 950000) > 50 * NS_PER_MS);
	assert_int_equal(run0(&m)->planned, 1000);
	assert_true(run0(&m)->late_sends >= 100 && run0(&m)->late_sends <= 115);
}

static void a_target_too_slow_for_the_rate_ends(void **state)
{
	struct world w = { .service_ns = 50 * NS_PER_MS };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };
	const struct run *r;

	(void)state;
	p.duration_ns = NS_PER_SEC;
	p.warmup = 0;
	p.runs = 1;
	p.rate = 1000;
	p.timeout_ns = NS_PER_SEC;
	go(&p, &c, 1, &m);
	r = run0(&m);
	assert_int_equal(r->planned, 1000);
	assert_int_equal(r->ok + r->failed, 1000);
	assert_int_equal(r->ok, 60);
	assert_string_equal(r->error[0].name, "not-sent");
}

static void failures_are_counted_beside_latency(void **state)
{
	struct world w = { .service_ns = NS_PER_MS, .fail_every = 10, .break_on_failure = true };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };
	struct err e = { 0 };
	const struct run *r;

	(void)state;
	p.iterations = 100;
	p.warmup = 0;
	p.runs = 1;
	go(&p, &c, 1, &m);
	r = run0(&m);
	assert_int_equal(r->ok, 90);
	assert_int_equal(r->failed, 10);
	assert_int_equal(r->n_errors, 1);
	assert_int_equal(r->error[0].count, 10);
	assert_string_equal(r->error[0].detail, "said no");
	assert_int_equal(run_distribution(r, "latency")->series.n, 90);
	/* the last one breaks the session when nothing is left to do */
	assert_int_equal(r->reopened, 9);
	assert_int_equal(w.made, w.freed);
	assert_int_equal(engine_verdict(&m, &p, &e), -1);
	assert_int_equal(e.kind, ERR_TARGET);
	p.max_errors = 0.1;
	assert_int_equal(engine_verdict(&m, &p, &e), 0);
}

/* A failing warm-up must not cost the run its session: the window opens with a fresh one. */
static void a_broken_warmup_is_renewed(void **state)
{
	struct world w = { .service_ns = NS_PER_MS, .fail_every = 5, .break_on_failure = true };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };

	(void)state;
	p.iterations = 4;
	p.warmup = 5;
	p.runs = 1;
	go(&p, &c, 1, &m);
	assert_int_equal(run0(&m)->ok, 4);
	assert_int_equal(run0(&m)->failed, 0);
	assert_int_equal(w.made, 2);
	assert_int_equal(w.made, w.freed);
}

static void silence_ends_a_run_by_timeouts(void **state)
{
	struct world w = { .service_ns = NS_PER_MS, .silent_from = 11 };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };
	const struct run *r;

	(void)state;
	p.iterations = 100;
	p.warmup = 0;
	p.runs = 5;
	p.timeout_ns = NS_PER_SEC;
	go(&p, &c, 1, &m);
	r = run0(&m);
	assert_int_equal(r->ok, 10);
	assert_int_equal(r->failed, 3);
	assert_string_equal(r->error[0].name, "timeout");
	assert_int_equal(strncmp(r->error[0].detail, "no pong after ping ", 19), 0);
	assert_int_equal(r->duration_ns, 10 * NS_PER_MS + 3 * NS_PER_SEC);
	/* two more runs in which nothing succeeds, then the case is given up */
	assert_int_equal(m.benchmark[0].n_runs, 3);
	assert_int_equal(m.benchmark[0].run[2].status, RUN_FAILED);
	assert_int_equal(w.cancelled, 9);
	assert_int_equal(w.made, w.freed);
}

static void a_refused_target_is_tried_three_times(void **state)
{
	struct world w = { .refuse_open = true };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };
	struct err e = { 0 };

	(void)state;
	go(&p, &c, 1, &m);
	assert_int_equal(w.opened, 3);
	assert_int_equal(m.benchmark[0].n_runs, 1);
	assert_int_equal(run0(&m)->status, RUN_FAILED);
	assert_string_equal(run0(&m)->error[0].name, "refused");
	assert_int_equal(engine_verdict(&m, &p, &e), -1);
	assert_string_equal(e.code, "refused");
}

/* Answers from inside start() must not recurse: a million of them would overflow the stack. */
static void immediate_answers_do_not_recurse(void **state)
{
	struct world w = { .immediate = true };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };

	(void)state;
	p.iterations = 1000000;
	p.warmup = 0;
	p.runs = 1;
	go(&p, &c, 1, &m);
	assert_int_equal(run0(&m)->ok, 1000000);
}

static void default_plan_fits_the_budget(void **state)
{
	struct world w = { .open_ns = 100 * NS_PER_MS, .service_ns = 20 * NS_PER_MS };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };

	(void)state;
	go(&p, &c, 1, &m);
	assert_int_equal(m.benchmark[0].n_runs, 10);
	/* 3 s a round, 0.1 of it set-up: 138 operations with 10 warm-ups would be 2.96 s */
	assert_in_range(run0(&m)->ok, 120, 140);
}

static char sequence[512];

static int note_order(void *ctx, const struct engine_case *c, struct run *run, struct err *e)
{
	(void)ctx;
	(void)run;
	(void)e;
	strncat(sequence, c->target, sizeof(sequence) - strlen(sequence) - 1);
	return 0;
}

static void targets_are_interleaved(void **state)
{
	struct world w[3] = { { .service_ns = 1000 },
			      { .service_ns = 1000 },
			      { .service_ns = 1000 } };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c[3] = { case_of(&w[0]), case_of(&w[1]), case_of(&w[2]) };
	struct engine_probe probe = { .window_open = note_order };
	struct engine g = {
		.plan = &p,
		.cases = c,
		.n_cases = 3,
		.probes = &probe,
		.n_probes = 1,
		.make_loop = fake_loop,
	};
	CLEANUP(measurement_done) struct measurement m = { 0 };
	struct err e = { 0 };

	(void)state;
	c[0].target = "A";
	c[1].target = "B";
	c[2].target = "C";
	for (unsigned i = 0; i < 3; i++)
		c[i].target_index = i;
	p.iterations = 5;
	p.runs = 4;
	sequence[0] = '\0';
	assert_int_equal(engine_run(&g, &m, &e), 0);
	assert_string_equal(sequence, "ABCCBAABCCBA");
	assert_int_equal(m.benchmark[0].run[1].pair, 1);
	assert_int_equal(m.benchmark[2].run[1].pair, 1);
	assert_int_equal(m.benchmark[2].run[1].order, 3);
}

static void a_stop_request_keeps_what_was_measured(void **state)
{
	struct world w = { .service_ns = NS_PER_MS, .stop_at = 150 };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(&w);
	CLEANUP(measurement_done) struct measurement m = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(stop_install(&e), 0);
	p.iterations = 100;
	p.warmup = 0;
	p.runs = 5;
	go(&p, &c, 1, &m);
	stop_set(0);
	assert_true(m.interrupted);
	assert_int_equal(m.benchmark[0].n_runs, 2);
	assert_int_equal(m.benchmark[0].run[0].status, RUN_OK);
	assert_int_equal(m.benchmark[0].run[1].status, RUN_INTERRUPTED);
	assert_in_range(m.benchmark[0].run[1].ok, 48, 50);
	assert_int_equal(w.made, w.freed);
}

static void threads_share_a_run(void **state)
{
	struct world w[1] = { { .immediate = true } };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(w);
	struct engine g = { .plan = &p, .cases = &c, .n_cases = 1 };
	CLEANUP(measurement_done) struct measurement m = { 0 };
	struct err e = { 0 };

	(void)state;
	p.concurrency = 1;
	p.threads = 1;
	p.iterations = 1000;
	p.runs = 2;
	if (engine_run(&g, &m, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(m.benchmark[0].run[1].ok, 1000);
}

/* Sessions of different threads have nothing in common, so each thread gets its own world by index. */
struct worlds {
	struct world w[4];
};

static int make_by_index(void *ctx, struct loop *loop, unsigned index, struct sub_sink *sink,
			 struct session **out, struct err *e)
{
	struct worlds *all = ctx;

	return fake_make(&all->w[index], loop, index, sink, out, e);
}

static void four_threads_count_together(void **state)
{
	struct worlds all = { 0 };
	struct plan p = PLAN_DEFAULT;
	struct engine_case c = case_of(NULL);
	struct engine g = { .plan = &p, .cases = &c, .n_cases = 1 };
	CLEANUP(measurement_done) struct measurement m = { 0 };
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		all.w[i].service_ns = 10 * NS_PER_US;
	c.make = make_by_index;
	c.ctx = &all;
	p.concurrency = p.threads = 4;
	p.iterations = 402;
	p.warmup = 8;
	p.runs = 2;
	if (engine_run(&g, &m, &e) < 0)
		fail_msg("%s", e.msg);
	for (int r = 0; r < 2; r++) {
		assert_int_equal(m.benchmark[0].run[r].ok, 402);
		assert_int_equal(m.benchmark[0].run[r].warmup_discarded, 8);
		assert_int_equal(run_distribution(&m.benchmark[0].run[r], "latency")->series.n,
				 402);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_loop_counts_and_times),
		cmocka_unit_test(concurrency_shares_the_operations),
		cmocka_unit_test(open_loop_is_timed_from_plan),
		cmocka_unit_test(a_target_too_slow_for_the_rate_ends),
		cmocka_unit_test(failures_are_counted_beside_latency),
		cmocka_unit_test(a_broken_warmup_is_renewed),
		cmocka_unit_test(silence_ends_a_run_by_timeouts),
		cmocka_unit_test(a_refused_target_is_tried_three_times),
		cmocka_unit_test(immediate_answers_do_not_recurse),
		cmocka_unit_test(default_plan_fits_the_budget),
		cmocka_unit_test(targets_are_interleaved),
		cmocka_unit_test(a_stop_request_keeps_what_was_measured),
		cmocka_unit_test(threads_share_a_run),
		cmocka_unit_test(four_threads_count_together),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
