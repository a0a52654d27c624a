/* A measurement made by hand, the same at every call: two targets, three cases, interleaved runs, some failures. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "result/document.h"

enum { FIXTURE_RUNS = 10, FIXTURE_SMALL_RUNS = 2, FIXTURE_CASES = 3, FIXTURE_TARGETS = 2 };

static inline uint64_t fixture_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *state >> 33;
}

/* Skewed to the right, as latencies are. */
static inline uint64_t fixture_latency(uint64_t *state, uint64_t typical)
{
	uint64_t r = fixture_random(state) % 1000;

	return typical + typical * r / 5000 + (r > 985 ? typical * (r - 985) / 3 : 0);
}

static inline int fixture_run(struct run *r, size_t c, size_t t, uint32_t index, bool small,
			      struct err *e)
{
	static const uint64_t typical[FIXTURE_CASES] = { 200000, 58000, 72000000 };
	static const size_t samples[FIXTURE_CASES] = { 12, 120, 4 };
	uint64_t state = 1 + index + 100 * c + 10000 * t;

	r->index = index;
	r->order = (uint32_t)(index * FIXTURE_CASES * FIXTURE_TARGETS + c * FIXTURE_TARGETS +
			      (index % 2 ? 1 - t : t));
	r->pair = (int32_t)index;
	r->start_offset_ns = r->order * UINT64_C(100000000);
	r->warmup_discarded = c == 1 ? 10 : 0;
	r->first_ns = typical[c] * 3;
	r->distribution = calloc(2, sizeof(*r->distribution));
	if (!r->distribution)
		return err_nomem(e);
	r->distribution[0] =
		(struct distribution){ .name = "latency", .unit = "ns", .better = BETTER_LOWER };
	r->distribution[1] =
		(struct distribution){ .name = "phase.send", .unit = "ns", .better = BETTER_LOWER };
	r->n_distributions = 2;
	if (series_init(&r->distribution[0].series, samples[c], e) < 0 ||
	    series_init(&r->distribution[1].series, samples[c], e) < 0)
		return -1;
	for (size_t i = 0; i < (small ? 3 : samples[c]); i++) {
		uint64_t ns = fixture_latency(&state, typical[c] * (1 + 3 * t));

		series_record(&r->distribution[0].series, ns);
		series_record(&r->distribution[1].series, ns / 10);
		r->duration_ns += ns;
		r->ok++;
		r->bytes += c == 2 ? 65536 : 0;
	}
	r->client = (struct usage){ true, 1000000, 2000000, 400, 3, 5 << 20 };
	if (c == 1 && t == 1 && index == 4) {
		r->failed = 2;
		r->n_errors = 1;
		r->error[0] = (struct error_count){ .name = "timeout", .count = 2 };
		snprintf(r->error[0].detail, sizeof(r->error[0].detail),
			 "no answer to exec within 10 s");
	}
	if (c != 1)
		return 0;
	r->syscalls.count = calloc(2, sizeof(*r->syscalls.count));
	if (!r->syscalls.count)
		return err_nomem(e);
	r->syscalls.known = r->syscalls.exact = true;
	r->syscalls.n = 2;
	r->syscalls.count[0] =
		(struct syscall_count){ "read", 2 * (r->ok + r->failed), 0, 4000, 0, 90000 };
	r->syscalls.count[1] =
		(struct syscall_count){ "write", r->ok + r->failed, 0, 2000, 0, 50000 };
	return 0;
}

static inline int fixture_benchmark(struct benchmark *b, size_t c, size_t t, bool small,
				    struct err *e)
{
	static const char *const names[FIXTURE_CASES] = { "repl.connect", "repl.exec",
							  "repl.upload" };
	struct extra_metric *x;

	snprintf(b->name, sizeof(b->name), "%s", names[c]);
	snprintf(b->target, sizeof(b->target), "%s", t ? "rfc2217" : "exec");
	b->headline = c == 2 ? "throughput" : "latency.median";
	b->first_only = c == 0;
	if (c == 2) {
		b->params[0] = (struct param){ "size_bytes", PARAM_INTEGER, 65536, NULL };
		b->params[1] = (struct param){ "mode", PARAM_TEXT, 0, "paste" };
		b->n_params = 2;
	}
	b->run = calloc(FIXTURE_RUNS, sizeof(*b->run));
	if (!b->run)
		return err_nomem(e);
	b->n_runs = small ? FIXTURE_SMALL_RUNS : FIXTURE_RUNS;
	for (uint32_t i = 0; i < b->n_runs; i++)
		if (fixture_run(&b->run[i], c, t, i, small, e) < 0)
			return -1;
	x = benchmark_add_metric(b, "memory.free", "bytes", BETTER_HIGHER, false);
	if (!x)
		return err_nomem(e);
	for (uint32_t i = 0; i < b->n_runs; i++)
		x->values[i] = 200000 - 16.0 * i;
	return 0;
}

static inline int fixture_measurement_of(struct measurement *m, size_t targets, bool small,
					 struct err *e)
{
	memset(m, 0, sizeof(*m));
	m->benchmark = calloc(FIXTURE_CASES * targets, sizeof(*m->benchmark));
	if (!m->benchmark)
		return err_nomem(e);
	for (size_t c = 0; c < FIXTURE_CASES; c++)
		for (size_t t = 0; t < targets; t++) {
			/* Counted first, so that what is half made is freed too. */
			struct benchmark *b = &m->benchmark[m->n++];

			if (fixture_benchmark(b, c, t, small, e) < 0)
				return -1;
		}
	return 0;
}

static inline int fixture_measurement(struct measurement *m, size_t targets, struct err *e)
{
	return fixture_measurement_of(m, targets, false, e);
}

struct fixture_options {
	uint64_t timeout_ns, size, warmup;
	bool verify;
	int mode;
	const char *output;
	struct opt_strings labels;
};

static const char *const fixture_modes[] = { "raw", "paste", "auto", NULL };

static const struct opt fixture_table[] = {
	OPT_SIZE_ROW('s', "size", OPT_WHAT, struct fixture_options, size, "SIZE",
		     "bytes of an upload"),
	OPT_ENUM_ROW(0, "mode", OPT_WHAT, struct fixture_options, mode, fixture_modes,
		     "how code is sent"),
	OPT_DURATION_ROW(0, "timeout", OPT_HOW, struct fixture_options, timeout_ns, "TIME",
			 "of one operation"),
	OPT_U64_ROW(0, "warm-up", OPT_HOW, struct fixture_options, warmup, "N",
		    "operations discarded"),
	OPT_FLAG_ROW(0, "verify", OPT_HOW, struct fixture_options, verify, "check the content"),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct fixture_options, output, "FILE",
		       "write the document"),
	OPT_STRINGS_ROW(0, "label", OPT_OUT, struct fixture_options, labels, "K=V",
			"kept in the document"),
	OPT_END,
};

static inline json_t *fixture_budget(void)
{
	return json_pack("[{s:s,s:[{s:s,s:i,s:f},{s:s,s:i,s:f},{s:s,s:i,s:f}]}]", "target",
			 "rfc2217", "phases", "name", "connect", "ns", 400000, "percent", 40.0,
			 "name", "negotiate", "ns", 500000, "percent", 50.0, "name", "exec", "ns",
			 100000, "percent", 10.0);
}

static inline int fixture_fill(struct document *d, size_t targets, bool samples, bool small,
			       struct err *e)
{
	static const char *const urls[] = { "exec=exec:micropython",
					    "rfc2217=rfc2217://me:secret@127.0.0.1:2217" };
	static const char *const identity[] = { "banner", "MicroPython v1.27.0 on linux", NULL };
	const struct noise noise = {
		"noisy", { "other processes took 14 % of the CPUs" }, 1, 0.001, 0.14, 0.3, 12, 0
	};
	CLEANUP(measurement_done) struct measurement m = { 0 };
	const struct err timeout = { ERR_TARGET, 0, "timeout",
				     "no answer from rfc2217://me:secret@127.0.0.1:2217" };

	for (size_t t = 0; t < targets; t++) {
		CLEANUP(target_done) struct target target = { 0 };

		if (target_parse(&target, urls[t], e) < 0 ||
		    document_add_target(d, &target, identity, e) < 0)
			return -1;
	}
	if (fixture_measurement_of(&m, targets, small, e) < 0 ||
	    document_add_measurement(d, &m, samples, e) < 0 ||
	    document_add_noise(d, &noise, e) < 0 ||
	    document_add_warning(d, "dtr-no-answer",
				 "the server did not answer the request to set DTR", e) < 0 ||
	    document_add_warning(d, "dtr-no-answer",
				 "the server did not answer the request to set DTR", e) < 0 ||
	    document_add_finding(
		    d, "nagle", "repl.exec", "rfc2217",
		    "12 % of the operations took 40 to 44 ms, as Nagle's algorithm with a delayed "
		    "acknowledgement makes them",
		    "set TCP_NODELAY in the server", e) < 0 ||
	    document_add_extension(d, "phase_budget", fixture_budget(), e) < 0)
		return -1;
	return document_finish(d, "failed", &timeout, e);
}

/* The whole document. */
static inline int fixture_document_of(struct document *d, size_t targets, bool samples, bool small,
				      struct err *e)
{
	char *const argv[] = { (char[]){ "mpbench" }, (char[]){ "bench-repl" },
			       (char[]){ "exec=exec:micropython" },
			       (char[]){ "rfc2217=rfc2217://me:secret@127.0.0.1:2217" } };
	struct fixture_options o = { .timeout_ns = 10000000000,
				     .size = 65536,
				     .warmup = UINT64_MAX,
				     .mode = 1,
				     .labels = { 1, { "branch=main" } } };
	const struct host host = { .os = "Debian GNU/Linux 12",
				   .kernel = "6.1.0",
				   .arch = "x86_64",
				   .cpu_model = "test",
				   .container = 0,
				   .smt = -1,
				   .turbo = -1,
				   .aslr = 1,
				   .cpus_logical = 2,
				   .cpus_physical = 2,
				   .memory_bytes = 1 << 30,
				   .nofile_limit = 1024,
				   .clock = { 25, 1, "tsc" },
				   .fingerprint = "0123456789abcdef" };
	const struct document_head head = { .subcommand = "bench-repl",
					    .argc = 4,
					    .argv = argv,
					    .table = fixture_table,
					    .options = &o,
					    .labels = &o.labels,
					    .commit = "0123abcd",
					    .host = &host };

	if (document_new(d, &head, e) < 0)
		return -1;
	if (fixture_fill(d, targets, samples, small, e) < 0) {
		document_done(d);
		return -1;
	}
	return 0;
}

static inline int fixture_document(struct document *d, size_t targets, bool samples, struct err *e)
{
	return fixture_document_of(d, targets, samples, false, e);
}
