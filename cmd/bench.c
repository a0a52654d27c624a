#include "bench.h"
#include "bench-judge.h"
#include "bench-watch.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"
#include "explain/findings.h"
#include "io/sock.h"
#include "measure/host.h"
#include "measure/servers.h"
#include "progress.h"
#include "rank.h"
#include "result/wall.h"

enum { IDENTITY_MAX = 32 };
#define SERVER_WAIT (10 * NS_PER_SEC)

/* What the run offsets of the document count from, as wall-clock time: who merges results of several hosts needs it. */
static void read_wall_clock(char out[WALL_MAX])
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	wall_format((int64_t)now.tv_sec * (int64_t)NS_PER_SEC + now.tv_nsec, 0, out);
}

static int measure(const struct bench *b, struct measurement *m, struct noise *noise,
		   char measured_at[WALL_MAX], struct err *e)
{
	CLEANUP(servers_stop) struct servers servers = { 0 };
	CLEANUP(bench_watch_done) struct bench_watch watch = { 0 };
	struct progress progress;
	struct noise_gauge gauge;
	struct engine g = {
		.plan = b->plan,
		.cases = b->cases,
		.n_cases = b->n_cases,
		.log = &b->common->log,
	};
	int client, server, rc;

	if (plan_pin(b->plan, &client, &server, e) < 0 ||
	    servers_start(&servers, &b->plan->starts, b->started, b->n_started, SERVER_WAIT, server,
			  b->common->opts->verbose > 0, e) < 0 ||
	    (b->before && b->before(b->ctx, e) < 0) ||
	    bench_watch_open(&watch, b, &servers, e) < 0 || common_wait_start(b->common, e) < 0)
		return -1;
	g.probes = watch.probes;
	g.n_probes = watch.n_probes;
	progress_begin(&progress, b->common->opts->quiet);
	g.progress = progress_event;
	g.progress_ctx = &progress;
	noise_open(&gauge, "");
	read_wall_clock(measured_at);
	rc = engine_run(&g, m, e);
	progress_end(&progress);
	noise_close(&gauge, "", noise);
	return rc < 0 ? rc : probe_syscalls_metrics(watch.syscalls, m, &b->common->log, e);
}

static int add_targets(const struct bench *b, struct document *d, struct err *e)
{
	for (size_t i = 0; i < b->n_targets; i++) {
		struct target shown = *b->targets[i].target;
		const char *pairs[IDENTITY_MAX] = { NULL };
		char label[64];

		if (b->targets[i].label) {
			snprintf(label, sizeof(label), "%s", b->targets[i].label);
			shown.label = label; /* a shallow copy: nothing of it is released */
		}
		if (b->identity)
			b->identity(b->ctx, i, pairs, IDENTITY_MAX);
		if (document_add_target(d, &shown, pairs, e) < 0)
			return -1;
	}
	return 0;
}

/* Which part of a set of measurements this is, for who merges them. */
static int add_rank(struct document *d, struct err *e)
{
	const char *variable, *rank = rank_find(&variable);

	return rank ? document_add_extension(d, "rank", json_string(rank), e) : 0;
}

static int describe(const struct bench *b, const struct host *host, struct document *d,
		    struct err *e)
{
	int argc = 0;
	char *const *argv = cmd_original(b->argv, &argc);
	struct document_head head = {
		.subcommand = b->cmd->name,
		.argc = argc,
		.argv = argv,
		.table = b->cmd->table,
		.options = b->options,
		.labels = &b->common->opts->labels,
		.commit = b->common->opts->commit,
		.host = host,
	};

	return document_new(d, &head, e) < 0 ? -1 : add_rank(d, e);
}

/* What the counting itself cost the client, which is not watched as a rule. */
static int add_trace_cost(struct document *d, const struct measurement *m, struct err *e)
{
	CLEANUP(json_decref) json_t *one = NULL;

	if (!m->traced)
		return 0;
	one = json_object();
	if (!one || json_put(one, "others_ns_per_call", json_u64(m->others_ns_per_call), e) < 0)
		return -1;
	return document_add_extension(d, "syscalls", TAKE(one), e);
}

static int complete(const struct bench *b, struct document *d, struct measurement *m,
		    const struct noise *noise, const struct err *verdict, struct err *e)
{
	const char *status = m->interrupted ? "interrupted" : verdict->kind ? "failed" : "complete";

	if (b->derive && b->derive(b->ctx, m, e) < 0)
		return -1;
	if (add_targets(b, d, e) < 0 || document_add_measurement(d, m, b->plan->samples, e) < 0 ||
	    document_add_noise(d, noise, e) < 0 || add_trace_cost(d, m, e) < 0)
		return -1;
	if (b->extend && b->extend(b->ctx, d, m, e) < 0)
		return -1;
	if (findings_add(d, e) < 0 || common_add_warnings(b->common, d, e) < 0)
		return -1;
	return document_finish(d, status, verdict->kind ? verdict : NULL, e);
}

int bench_go(const struct bench *b, struct err *e)
{
	CLEANUP(measurement_done) struct measurement m = { 0 };
	CLEANUP(document_done) struct document d = { 0 };
	CLEANUP(bench_judge_done) struct bench_judge judge = { 0 };
	struct noise noise = { 0 };
	char measured_at[WALL_MAX];
	struct host host;
	struct err verdict = { 0 };

	sock_raise_nofile();
	host_read(&host, "", b->common->opts->host_name);
	if (describe(b, &host, &d, e) < 0 || bench_judge_open(&judge, b->common, d.root, e) < 0 ||
	    measure(b, &m, &noise, measured_at, e) < 0)
		return -1;
	if (engine_verdict(&m, b->plan, &verdict) == 0)
		err_clear(&verdict);
	if (document_add_extension(&d, "measured_at", json_string(measured_at), e) < 0 ||
	    complete(b, &d, &m, &noise, &verdict, e) < 0 ||
	    bench_judge_apply(&judge, d.root, e) < 0 || common_write(b->common, d.root, e) < 0 ||
	    bench_judge_show(&judge, e) < 0)
		return -1;
	if (m.interrupted)
		return 128 + (stop_signal() ? stop_signal() : 2);
	if (verdict.kind) {
		*e = verdict;
		return -1;
	}
	return bench_judge_status(&judge, e);
}
