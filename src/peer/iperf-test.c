#include "peer/iperf-test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "peer/iperf-socket.h"

int iperf_test_init(struct iperf_test *t, const struct iperf_work *w, unsigned room,
		    bool limit_received, struct err *e)
{
	memset(t, 0, sizeof(*t));
	t->work = *w;
	if (iperf_run_init(&t->run, &t->work, e) < 0)
		return -1;
	t->run.limit_received = limit_received && (w->num || w->blocks);
	t->stream = aligned_alloc(64, room * sizeof(*t->stream));
	if (!t->stream)
		return err_nomem(e);
	memset(t->stream, 0, room * sizeof(*t->stream));
	t->room = room;
	return 0;
}

void iperf_test_done(struct iperf_test *t)
{
	if (t->started && !t->stopped)
		iperf_test_stop(t);
	for (unsigned i = 0; t->stream && i < t->n; i++)
		iperf_stream_done(&t->stream[i]);
	free(t->stream);
	t->stream = NULL;
	iperf_run_done(&t->run);
	t->run.work = NULL;
}

int iperf_test_add(struct iperf_test *t, int fd, bool sends, struct err *e)
{
	if (t->n == t->room) {
		fd_close(&fd);
		return err_set(e, ERR_INTERNAL, "bug", "more streams than were asked for");
	}
	iperf_stream_init(&t->stream[t->n], &t->run, iperf3_stream_id(t->n), fd, sends);
	t->stream[t->n].index = t->n;
	t->n++;
	return 0;
}

static void read_usage(uint64_t *user, uint64_t *system)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	*user = (uint64_t)u.ru_utime.tv_sec * NS_PER_SEC + (uint64_t)u.ru_utime.tv_usec * NS_PER_US;
	*system =
		(uint64_t)u.ru_stime.tv_sec * NS_PER_SEC + (uint64_t)u.ru_stime.tv_usec * NS_PER_US;
}

int iperf_test_start(struct iperf_test *t, struct err *e)
{
	read_usage(&t->user_ns, &t->system_ns);
	t->run.start_ns = t->counted_ns = clock_now();
	t->started = true;
	for (unsigned i = 0; i < t->n; i++)
		if (iperf_stream_start(&t->stream[i], e) < 0)
			return -1;
	return 0;
}

void iperf_test_counts(struct iperf_test *t)
{
	struct iperf_tcp_info info;

	for (unsigned i = 0; i < t->n; i++) {
		iperf_socket_info(t->stream[i].fd, &info);
		t->retransmits_omitted[i] = info.retransmits;
	}
	t->counted_ns = clock_now();
	atomic_fetch_add(&t->run.epoch, 1);
}

void iperf_test_end(struct iperf_test *t)
{
	if (t->end_ns)
		return;
	t->end_ns = clock_now();
	atomic_store(&t->run.phase, IPERF_ENDING);
}

void iperf_test_stop(struct iperf_test *t)
{
	uint64_t user, system;

	if (t->stopped)
		return;
	iperf_test_end(t);
	atomic_store(&t->run.phase, IPERF_STOPPED);
	t->stopped = true;
	/* who waits for bytes need not wait out his slice; what is queued can be read all the same */
	for (unsigned i = 0; i < t->n; i++)
		if (!t->work.udp && !t->stream[i].sends)
			(void)shutdown(t->stream[i].fd, SHUT_RD);
	for (unsigned i = 0; i < t->n; i++) {
		iperf_stream_join(&t->stream[i]);
		iperf_stream_look(&t->stream[i], t->counted_ns);
	}
	read_usage(&user, &system);
	t->user_ns = ns_since(t->user_ns, user);
	t->system_ns = ns_since(t->system_ns, system);
	for (unsigned i = 0; i < t->n; i++) {
		t->user_ns += t->stream[i].cpu_user_ns;
		t->system_ns += t->stream[i].cpu_system_ns;
	}
}

bool iperf_test_is_idle(const struct iperf_test *t)
{
	return atomic_load(&t->run.busy) == 0;
}

bool iperf_test_has_sent(const struct iperf_test *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->stream[i].sends && !atomic_load(&t->stream[i].over))
			return false;
	return true;
}

const struct iperf_stream *iperf_test_failure(const struct iperf_test *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (atomic_load(&t->stream[i].over) && t->stream[i].failed)
			return &t->stream[i];
	return NULL;
}

/* A sender that was told to stop took until then; everybody else until his last byte. */
double iperf_test_seconds(const struct iperf_test *t, const struct iperf_stream *s)
{
	bool limited = t->work.num || t->work.blocks || (t->work.file && s->sends);
	uint64_t last = atomic_load(&s->now.last_ns);
	uint64_t end = s->sends && !limited ? t->end_ns
		       : limited && last    ? last
		       : last > t->end_ns   ? last
					    : t->end_ns;

	return (double)ns_since(t->counted_ns, end) / 1e9;
}

int64_t iperf_test_retransmits(const struct iperf_test *t, unsigned index)
{
	struct iperf_tcp_info info;

	if (t->work.udp || !t->stream[index].sends)
		return -1;
	iperf_socket_info(t->stream[index].fd, &info);
	return info.known ? (int64_t)(info.retransmits - t->retransmits_omitted[index]) : -1;
}

static void fill_datagrams(const struct iperf_stream *s, bool exact, struct iperf3_stream_result *r)
{
	const struct iperf3_udp_account *a = &s->account, *o = &s->omitted;

	if (s->sends) {
		r->packets = (int64_t)atomic_load(&s->now.blocks);
		r->omitted_packets = (int64_t)atomic_load(&s->before.blocks);
		return;
	}
	r->packets = (int64_t)a->highest;
	r->errors = a->peer_errors;
	r->jitter_s = a->jitter_ns / 1e9;
	r->omitted_packets = (int64_t)o->highest;
	r->omitted_errors = o->peer_errors;
	r->has_exact = exact;
	r->unique = (int64_t)(a->unique - o->unique);
	r->duplicates = (int64_t)(a->duplicates - o->duplicates);
	r->reordered = (int64_t)(a->reordered - o->reordered);
	r->late = (int64_t)(a->late - o->late);
}

int iperf_test_results(const struct iperf_test *t, bool exact, struct iperf3_results *out,
		       struct err *e)
{
	double wall = (double)ns_since(t->run.start_ns, t->end_ns);
	bool sends = false;

	memset(out, 0, sizeof(*out));
	out->stream = calloc(t->n ? t->n : 1, sizeof(*out->stream));
	if (!out->stream)
		return err_nomem(e);
	out->n = t->n;
	for (unsigned i = 0; i < t->n; i++) {
		const struct iperf_stream *s = &t->stream[i];
		struct iperf3_stream_result *r = &out->stream[i];

		sends = sends || s->sends;
		r->id = s->id;
		r->bytes = iperf_stream_bytes(s);
		r->retransmits = iperf_test_retransmits(t, i);
		r->end_s = iperf_test_seconds(t, s);
		r->has_omitted = true;
		if (t->work.nothing)
			r->bytes = 0;
		else if (t->work.udp)
			fill_datagrams(s, exact, r);
	}
	out->has_retransmits = sends ? !t->work.udp : -1;
	if (!t->work.udp && t->n)
		iperf_socket_congestion(t->stream[0].fd, out->congestion);
	if (wall > 0) {
		out->cpu_user = 100 * (double)t->user_ns / wall;
		out->cpu_system = 100 * (double)t->system_ns / wall;
		out->cpu_total = out->cpu_user + out->cpu_system;
	}
	return 0;
}
