#include "peer/iperf-stream.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* A thread that waits in the kernel looks up this often, so that every test ends. */
enum { SLICE_MS = 50 };

int iperf_run_init(struct iperf_run *r, const struct iperf_work *w, struct err *e)
{
	uint64_t limit = w->num ? w->num : w->blocks;

	memset(r, 0, sizeof(*r));
	r->work = w;
	atomic_init(&r->send_left, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
	r->receive_limit = w->num ? w->num : w->blocks * w->len;
	atomic_init(&r->receive_left,
		    r->receive_limit > INT64_MAX ? INT64_MAX : (int64_t)r->receive_limit);
	r->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return r->news_fd < 0 ? err_sys(e, ERR_MACHINE, "eventfd") : 0;
}

void iperf_run_done(struct iperf_run *r)
{
	if (r->work)
		fd_close(&r->news_fd);
}

uint64_t iperf_claim(_Atomic int64_t *left, uint64_t want)
{
	int64_t had = atomic_load_explicit(left, memory_order_relaxed), got;

	do {
		if (had <= 0)
			return 0;
		got = (uint64_t)had < want ? had : (int64_t)want;
	} while (!atomic_compare_exchange_weak_explicit(left, &had, had - got, memory_order_relaxed,
							memory_order_relaxed));
	return (uint64_t)got;
}

void iperf_stream_init(struct iperf_stream *s, struct iperf_run *run, int id, int fd, bool sends)
{
	memset(s, 0, sizeof(*s));
	s->run = run;
	s->id = id;
	s->fd = fd;
	s->sends = sends;
	s->cpu_last = -1;
}

static void read_usage(uint64_t *user, uint64_t *system)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	*user = (uint64_t)u.ru_utime.tv_sec * NS_PER_SEC + (uint64_t)u.ru_utime.tv_usec * NS_PER_US;
	*system =
		(uint64_t)u.ru_stime.tv_sec * NS_PER_SEC + (uint64_t)u.ru_stime.tv_usec * NS_PER_US;
}

void iperf_stream_rest(struct iperf_stream *s)
{
	const uint64_t one = 1;

	if (s->rests)
		return;
	s->rests = true;
	atomic_fetch_sub(&s->run->busy, 1);
	if (write(s->run->news_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is readable all the same */
}

static void body(void *arg)
{
	struct iperf_stream *s = arg;
	const struct iperf_run *r = s->run;

	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	if (r->work->udp)
		(s->sends ? iperf_udp_send : iperf_udp_receive)(s);
	else
		(s->sends ? iperf_tcp_send : iperf_tcp_receive)(s);
	s->cpu_last = sched_getcpu();
	read_usage(&s->cpu_user_ns, &s->cpu_system_ns);
	atomic_store(&s->over, true);
	iperf_stream_rest(s);
}

/* A call that waits comes back after a slice, so that the thread sees the end of the test. */
static int bound_waits(const struct iperf_stream *s, struct err *e)
{
	const struct timeval slice = { .tv_usec = SLICE_MS * 1000 };

	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice)) < 0 ||
	    setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &slice, sizeof(slice)) < 0)
		return err_sys(e, ERR_MACHINE, "socket time-out");
	return 0;
}

int iperf_stream_start(struct iperf_stream *s, struct err *e)
{
	const struct iperf_work *w = s->run->work;
	char name[16];
	int cpu = w->cpu;

	s->counted_ns = s->run->start_ns;
	if (bound_waits(s, e) < 0 || (w->udp && !s->sends &&
				      (iperf3_udp_account_init(&s->account, e) < 0 ||
				       series_init(&s->delay, SERIES_RAW_MAX + 1, e) < 0)))
		return -1;
	snprintf(name, sizeof(name), "iperf-%d", s->id);
	atomic_fetch_add(&s->run->busy, 1);
	if (thread_start(&s->thread, name, cpu, body, s, e) < 0) {
		atomic_fetch_sub(&s->run->busy, 1);
		return -1;
	}
	return 0;
}

void iperf_stream_join(struct iperf_stream *s)
{
	thread_join(s->thread);
	s->thread = NULL;
}

void iperf_stream_done(struct iperf_stream *s)
{
	if (!s->run)
		return;
	iperf_stream_join(s);
	fd_close(&s->fd);
	iperf3_udp_account_done(&s->account);
	series_done(&s->delay);
	s->run = NULL;
}

uint64_t iperf_stream_bytes(const struct iperf_stream *s)
{
	return atomic_load_explicit(&s->now.bytes, memory_order_relaxed) -
	       atomic_load_explicit(&s->before.bytes, memory_order_relaxed);
}

static void copy_counters(struct iperf_counters *to, const struct iperf_counters *from)
{
	atomic_store_explicit(&to->bytes, atomic_load_explicit(&from->bytes, memory_order_relaxed),
			      memory_order_relaxed);
	atomic_store_explicit(&to->blocks,
			      atomic_load_explicit(&from->blocks, memory_order_relaxed),
			      memory_order_relaxed);
}

void iperf_stream_look(struct iperf_stream *s, uint64_t now_ns)
{
	unsigned epoch = atomic_load_explicit(&s->run->epoch, memory_order_relaxed);

	if (epoch == s->epoch)
		return;
	s->epoch = epoch;
	copy_counters(&s->before, &s->now);
	s->omitted = s->account;
	s->omitted.seen = NULL;
	s->counted_ns = now_ns;
	series_reset(&s->delay);
}

void iperf_stream_count(struct iperf_stream *s, uint64_t bytes, uint64_t blocks, uint64_t now_ns)
{
	struct iperf_counters *n = &s->now;

	iperf_stream_look(s, now_ns);
	atomic_store_explicit(&n->bytes,
			      atomic_load_explicit(&n->bytes, memory_order_relaxed) + bytes,
			      memory_order_relaxed);
	atomic_store_explicit(&n->blocks,
			      atomic_load_explicit(&n->blocks, memory_order_relaxed) + blocks,
			      memory_order_relaxed);
	atomic_store_explicit(&n->last_ns, now_ns, memory_order_relaxed);
}

bool iperf_stream_sleep(const struct iperf_stream *s, uint64_t wait_ns)
{
	while (wait_ns && iperf_stream_goes_on(s)) {
		uint64_t part = wait_ns < SLICE_MS * NS_PER_MS ? wait_ns : SLICE_MS * NS_PER_MS;
		struct timespec ts = { .tv_nsec = (long)part };

		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		wait_ns -= part;
	}
	return iperf_stream_goes_on(s);
}

void iperf_fill(uint8_t *out, size_t len, bool repeating)
{
	size_t done = 0;

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)('0' + i % 10);
	while (!repeating && done < len) {
		ssize_t n = getrandom(out + done, len - done < 256 ? len - done : 256, 0);

		if (n <= 0)
			return; /* digits will do */
		done += (size_t)n;
	}
}
