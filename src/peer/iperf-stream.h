/* iperf-stream - one data stream of a test: its socket, its thread, what it counts */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/thread.h"
#include "proto/iperf3-udp.h"
#include "stats/series.h"

enum iperf_copy { IPERF_COPY, IPERF_VMSPLICE, IPERF_SENDFILE, IPERF_MSG_ZEROCOPY };

/* What the streams of a test do; the same for all of them. */
struct iperf_work {
	bool udp, wide; /* wide: 64-bit datagram numbers */
	enum iperf_copy copy;
	bool skip_rx_copy, repeating;
	bool gso, gro; /* where the path allows */
	size_t len;
	uint64_t rate; /* bits per second and stream; 0: as fast as it goes */
	uint32_t burst;
	uint64_t num,
		blocks; /* to send (and, for a client, to receive) each way over all streams; 0: no limit */
	bool nothing;	  /* a test without duration: no byte counts */
	const char *file; /* of TCP: sent, or written; NULL: a pattern */
	size_t rcvbuf;	  /* wanted for datagrams, as the kernel charges it */
	bool tag;	  /* tag sends, for send-to-ACK times */
	int cpu;	  /* of the first stream, -1: any */
};

/* When a test ends its senders stop first; receivers go on, so that nobody blocks who has not heard of it yet. */
enum iperf_phase { IPERF_RUNNING, IPERF_ENDING, IPERF_STOPPED };

/* What the streams of a test share. */
struct iperf_run {
	const struct iperf_work *work;
	bool limit_received; /* the receiver stops at the limit too: client with -n --reverse */
	atomic_int phase;
	atomic_uint
		epoch; /* raised when the omitted time is over: what was counted before does not count */
	atomic_bool tag_due;	      /* the next send is to be tagged */
	_Atomic int64_t send_left;    /* bytes or blocks, where there is a limit */
	_Atomic int64_t receive_left; /* bytes that no receiver has made room for yet */
	_Atomic uint64_t received;    /* bytes, where there is a limit */
	uint64_t receive_limit;
	atomic_uint busy;   /* threads that have not come to their end */
	atomic_bool no_gso; /* the path refused it */
	int news_fd;	    /* an eventfd that threads write when they end */
	uint64_t start_ns;
};

int iperf_run_init(struct iperf_run *r, const struct iperf_work *w, struct err *e) ERR_MUST_CHECK;
void iperf_run_done(struct iperf_run *r);
/* Claims up to `want` of what is left; 0: nothing is. */
uint64_t iperf_claim(_Atomic int64_t *left, uint64_t want);

/* Written by the stream's thread alone; others may read at any time. */
struct iperf_counters {
	_Atomic uint64_t bytes, blocks, last_ns;
	_Atomic uint64_t lost, unique, jitter_ns; /* of datagrams */
};

/* A send that is timed until its last byte is acknowledged; the kernel names it by that byte's place in the stream. */
enum { IPERF_TAGS = 64 };
struct iperf_tag {
	_Atomic uint64_t sent_ns; /* CLOCK_REALTIME; 0: none, or told already */
	_Atomic uint32_t key;
};

struct iperf_stream {
	alignas(64) struct iperf_counters now;
	struct iperf_run *run;
	struct thread *thread;
	unsigned index; /* among the streams of the test */
	int id, fd;
	bool sends;
	struct iperf_tag tag[IPERF_TAGS]; /* a ring: the kernel loses one now and then */
	atomic_bool over;		  /* the thread has come to its end */
	/* The rest belongs to the thread until it was joined. */
	bool failed; /* valid when over */
	bool rests;  /* it has said that it has nothing more to do */
	unsigned epoch;
	int cpu_last;		      /* where it ran last */
	struct iperf_counters before; /* at the end of the omitted time */
	struct iperf3_udp_account account, omitted;
	struct series delay; /* ns above the smallest one-way delay, of datagrams */
	unsigned tags;	     /* sends that were tagged */
	uint64_t counted_ns; /* when counting began */
	uint64_t cpu_user_ns, cpu_system_ns;
	uint64_t gso_refused, drops;
	struct err trouble;
};

/* id and socket given; takes the socket. */
void iperf_stream_init(struct iperf_stream *s, struct iperf_run *run, int id, int fd, bool sends);
int iperf_stream_start(struct iperf_stream *s, struct err *e) ERR_MUST_CHECK;
/* Whether errors of the peer's socket are none: the test is ending. */
static inline bool iperf_stream_may_end(const struct iperf_stream *s)
{
	return atomic_load_explicit(&s->run->phase, memory_order_relaxed) != IPERF_RUNNING;
}
/* After run.phase is IPERF_STOPPED; legal for one that was never started. */
void iperf_stream_join(struct iperf_stream *s);
void iperf_stream_done(struct iperf_stream *s);

/* Counted so far without the omitted time. */
uint64_t iperf_stream_bytes(const struct iperf_stream *s);
/* Of the thread: keeps what was counted when the omitted time ended. */
void iperf_stream_look(struct iperf_stream *s, uint64_t now_ns);
/* Of the thread: count. */
void iperf_stream_count(struct iperf_stream *s, uint64_t bytes, uint64_t blocks, uint64_t now_ns);
/* Of the thread: whether to go on. */
static inline bool iperf_stream_goes_on(const struct iperf_stream *s)
{
	int phase = atomic_load_explicit(&s->run->phase, memory_order_relaxed);

	return phase == IPERF_RUNNING || (phase == IPERF_ENDING && !s->sends);
}
/* Of the thread: waits until `at_ns` or the test's end, in slices. False at the end. */
bool iperf_stream_sleep(const struct iperf_stream *s, uint64_t wait_ns);

/* Of the thread: it has done what the test asked for, and only looks on. */
void iperf_stream_rest(struct iperf_stream *s);

/* The four bodies: each ends when the test does, or has nothing more to do. */
void iperf_tcp_send(struct iperf_stream *s);
void iperf_tcp_receive(struct iperf_stream *s);
void iperf_udp_send(struct iperf_stream *s);
void iperf_udp_receive(struct iperf_stream *s);

/* Fills the payload: random bytes, or digits in a row. */
void iperf_fill(uint8_t *out, size_t len, bool repeating);
