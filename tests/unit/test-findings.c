/* Causes found in documents made by hand: latencies exactly where a known delay leaves them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "explain/budget.h"
#include "explain/findings.h"
#include "unit/result-fixture.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* One case of a target with `n` values, `share` percent of them `slow`, the others `other` (0: 100 us). */
struct sample {
	const char *url, *name, *style;
	uint64_t slow;
	unsigned n, share;
	int64_t gap_ms; /* -1: no such parameter */
	uint64_t other;
};

static int add_benchmark(struct measurement *m, const struct sample *s, const char *dist)
{
	struct benchmark *b = &m->benchmark[m->n++];
	struct run *r = calloc(1, sizeof(*r));
	struct err e;

	if (!r)
		return -1;
	snprintf(b->name, sizeof(b->name), "%s", s->name);
	snprintf(b->target, sizeof(b->target), "t");
	b->headline = "latency.median";
	if (s->gap_ms >= 0)
		b->params[b->n_params++] =
			(struct param){ "gap_ms", PARAM_INTEGER, s->gap_ms, NULL };
	b->run = r;
	b->n_runs = 1;
	r->pair = -1;
	r->duration_ns = MS;
	r->distribution = calloc(1, sizeof(*r->distribution));
	if (!r->distribution)
		return -1;
	r->distribution[0] =
		(struct distribution){ .name = dist, .unit = "ns", .better = BETTER_LOWER };
	r->n_distributions = 1;
	if (series_init(&r->distribution[0].series, s->n, &e) < 0)
		return -1;
	for (unsigned i = 0; i < s->n; i++)
		series_record(&r->distribution[0].series, i * 100 < s->n * s->share ? s->slow
							  : s->other		    ? s->other
										    : 100 * US);
	r->ok = s->n;
	return 0;
}

/* A document of these cases, which are all of one target. */
static void make(struct document *d, const struct sample *s, size_t n, const char *dist,
		 const char *timer_ms)
{
	static const struct host host = {
		.os = "Linux", .kernel = "6", .arch = "x", .cpu_model = "x"
	};
	char *const argv[] = { (char[]){ "mpbench" } };
	struct fixture_options o = { 0 };
	const struct document_head head = { .subcommand = "bench-repl",
					    .argc = 1,
					    .argv = argv,
					    .table = fixture_table,
					    .options = &o,
					    .labels = &o.labels,
					    .host = &host };
	const char *identity[] = { "client_style", s->style ? s->style : "native",
				   timer_ms ? "latency_timer_ms" : NULL, timer_ms, NULL };
	CLEANUP(target_done) struct target target = { 0 };
	CLEANUP(measurement_done) struct measurement m = { 0 };
	char url[128];
	struct err e;

	snprintf(url, sizeof(url), "t=%s", s->url);
	m.benchmark = calloc(n, sizeof(*m.benchmark));
	assert_non_null(m.benchmark);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(add_benchmark(&m, &s[i], dist), 0);
	assert_int_equal(document_new(d, &head, &e), 0);
	assert_int_equal(target_parse(&target, url, &e), 0);
	assert_int_equal(document_add_target(d, &target, identity, &e), 0);
	assert_int_equal(document_add_measurement(d, &m, false, &e), 0);
}

/* The code of the only finding, "" when there is none. */
static const char *found(const struct document *d)
{
	const json_t *all = json_object_get(d->root, "findings");

	assert_true(json_array_size(all) <= 1);
	return json_array_size(all)
		       ? json_string_value(json_object_get(json_array_get(all, 0), "code"))
		       : "";
}

static void check(const struct sample *s, const char *code)
{
	CLEANUP(document_done) struct document d = { 0 };
	struct err e;

	make(&d, s, 1, "latency", NULL);
	assert_int_equal(findings_add(&d, &e), 0);
	assert_string_equal(found(&d), code);
}

#define TCP "socket://127.0.0.1:1"

static void marks_of_known_delays(void **state)
{
	static const struct {
		uint64_t ns;
		const char *code;
	} marks[] = {
		{ 3406 * US, "chardelay" },
		{ 6783 * US, "chardelay" },
		{ 10650 * US, "sleep-10ms" },
		{ 21200 * US, "sleep-10ms" },
		{ 51200 * US, "sleep-50ms" },
		{ 44021 * US, "delayed-ack" },
		{ 40 * MS, "delayed-ack" },
		{ 355 * MS, "sleep-50ms" },
		{ 300 * US, "" },
		{ 5 * MS, "" },
		{ 16 * MS, "" },
		{ 30 * MS, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		check(&(struct sample){ TCP, "repl.exec", NULL, marks[i].ns, 100, 100, -1, 0 },
		      marks[i].code);
}

static void a_mark_belongs_to_its_transport(void **state)
{
	(void)state;
	check(&(struct sample){ "exec:x", "repl.exec", NULL, 3406 * US, 100, 100, -1, 0 }, "");
	check(&(struct sample){ "exec:x", "repl.exec", NULL, 44 * MS, 100, 100, -1, 0 }, "");
	check(&(struct sample){ "exec:x", "repl.exec", NULL, 10650 * US, 100, 100, -1, 0 },
	      "sleep-10ms");
	check(&(struct sample){ "serial:///dev/x", "repl.exec", NULL, 16 * MS, 100, 100, -1, 0 },
	      "latency-timer");
	check(&(struct sample){ "rfc2217://h:1", "repl.exec", NULL, 44 * MS, 100, 100, -1, 0 },
	      "delayed-ack");
	check(&(struct sample){ "builtin:", "repl.exec", NULL, 10650 * US, 100, 100, -1, 0 }, "");
}

static void few_samples_say_nothing(void **state)
{
	(void)state;
	check(&(struct sample){ TCP, "repl.exec", NULL, 10650 * US, 4, 100, -1, 0 }, "");
	check(&(struct sample){ TCP, "repl.exec", NULL, 10650 * US, 5, 100, -1, 0 }, "sleep-10ms");
	check(&(struct sample){ TCP, "repl.exec", NULL, 10650 * US, 100, 39, -1, 0 }, "");
	check(&(struct sample){ TCP, "repl.exec", NULL, 10650 * US, 100, 40, -1, 0 }, "sleep-10ms");
	/* a tail of 40 ms far above the rest is Nagle's all the same */
	check(&(struct sample){ TCP, "repl.exec", NULL, 44 * MS, 250, 2, -1, 0 }, "delayed-ack");
	check(&(struct sample){ TCP, "repl.exec", NULL, 44 * MS, 300, 1, -1, 0 }, "");
}

/* Noise lengthens a fixed wait: the mark is the floor of what was seen then. */
static void a_busy_machine_only_lengthens_waits(void **state)
{
	(void)state;
	check(&(struct sample){ TCP, "repl.exec", NULL, 3406 * US, 100, 20, -1, 5 * MS },
	      "chardelay");
	check(&(struct sample){ TCP, "repl.exec", NULL, 3406 * US, 100, 19, -1, 5 * MS }, "");
	check(&(struct sample){ TCP, "repl.exec", NULL, 3406 * US, 100, 20, -1, 3 * MS }, "");
}

static void long_operations_are_not_read(void **state)
{
	(void)state;
	check(&(struct sample){ TCP, "repl.upload", NULL, 44 * MS, 100, 100, -1, 0 }, "");
	check(&(struct sample){ TCP, "tftp.read", NULL, 44 * MS, 100, 100, -1, 0 }, "");
	check(&(struct sample){ TCP, "repl.connect", NULL, 51 * MS, 100, 100, -1, 0 },
	      "sleep-50ms");
}

static void what_is_imitated_is_named_so(void **state)
{
	(void)state;
	check(&(struct sample){ TCP, "repl.exec", "mpremote", 51200 * US, 100, 100, -1, 0 },
	      "imitated");
}

/* Waits after gaps of 0 and g ms. */
static void check_gap(uint64_t wait0, uint64_t wait, int64_t gap, const char *code)
{
	const struct sample s[] = { { TCP, "repl.reconnect", NULL, wait0 * MS, 3, 100, 0, 0 },
				    { TCP, "repl.reconnect", NULL, wait * MS, 3, 100, gap, 0 } };
	CLEANUP(document_done) struct document d = { 0 };
	struct err e;

	make(&d, s, 2, "latency", NULL);
	assert_int_equal(findings_add(&d, &e), 0);
	assert_string_equal(found(&d), code);
}

static void dead_time_falls_as_the_gap_grows(void **state)
{
	(void)state;
	check_gap(999, 747, 250, "dead-time");
	check_gap(999, 4, 1000, "dead-time");
	check_gap(999, 999, 250, "");
	check_gap(999, 10, 250, "");
	check_gap(50, 1, 50, "");
}

static void a_latency_timer_that_is_set_is_told(void **state)
{
	static const struct sample s = {
		"serial:///dev/x", "repl.exec", NULL, 100 * US, 10, 100, -1, 0
	};
	CLEANUP(document_done) struct document d = { 0 };
	CLEANUP(document_done) struct document low = { 0 };
	struct err e;

	(void)state;
	make(&d, &s, 1, "latency", "16");
	assert_int_equal(findings_add(&d, &e), 0);
	assert_string_equal(found(&d), "latency-timer");
	make(&low, &s, 1, "latency", "1");
	assert_int_equal(findings_add(&low, &e), 0);
	assert_string_equal(found(&low), "");
}

static void budget_of_a_session(void **state)
{
	static const struct sample s = { TCP, "repl.session", NULL, 3 * MS, 9, 100, -1, 0 };
	CLEANUP(document_done) struct document d = { 0 };
	const json_t *one, *phase;
	struct err e;

	(void)state;
	make(&d, &s, 1, "phase.connect", NULL);
	assert_int_equal(budget_add(&d, "repl.other", &e), 0);
	assert_null(json_object_get(json_object_get(d.root, "extensions"), "phase_budget"));
	assert_int_equal(budget_add(&d, "repl.session", &e), 0);
	one = json_array_get(json_object_get(json_object_get(d.root, "extensions"), "phase_budget"),
			     0);
	assert_string_equal(json_string_value(json_object_get(one, "target")), "t");
	phase = json_array_get(json_object_get(one, "phases"), 0);
	assert_string_equal(json_string_value(json_object_get(phase, "name")), "connect");
	assert_true(json_number_value(json_object_get(phase, "ns")) == 3e6);
	assert_true(json_number_value(json_object_get(phase, "percent")) == 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_of_known_delays),
		cmocka_unit_test(a_mark_belongs_to_its_transport),
		cmocka_unit_test(few_samples_say_nothing),
		cmocka_unit_test(a_busy_machine_only_lengthens_waits),
		cmocka_unit_test(long_operations_are_not_read),
		cmocka_unit_test(what_is_imitated_is_named_so),
		cmocka_unit_test(dead_time_falls_as_the_gap_grows),
		cmocka_unit_test(a_latency_timer_that_is_set_is_told),
		cmocka_unit_test(budget_of_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
