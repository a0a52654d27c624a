/* iperf-test - all streams of one test, in either role */
#pragma once

#include "base/cleanup.h"
#include "peer/iperf-stream.h"
#include "proto/iperf3.h"

struct iperf_test {
	struct iperf_work work;
	struct iperf_run run;
	struct iperf_stream *stream;
	unsigned n, room;
	bool started, stopped;
	uint64_t counted_ns, end_ns; /* of what counts; end: when senders were told to stop */
	uint64_t user_ns, system_ns; /* of all threads; before the stop: of this one at the start */
	uint64_t retransmits_omitted[2 * IPERF3_STREAMS_MAX];
};

int iperf_test_init(struct iperf_test *t, const struct iperf_work *w, unsigned room,
		    bool limit_received, struct err *e) ERR_MUST_CHECK;
void iperf_test_done(struct iperf_test *t);
CLEANUP_OBJ(struct iperf_test, iperf_test_done)

/* The next stream; takes fd, also on failure. */
int iperf_test_add(struct iperf_test *t, int fd, bool sends, struct err *e) ERR_MUST_CHECK;
int iperf_test_start(struct iperf_test *t, struct err *e) ERR_MUST_CHECK;
/* The omitted time is over. */
void iperf_test_counts(struct iperf_test *t);
/* Senders stop (IPERF_ENDING). */
void iperf_test_end(struct iperf_test *t);
/* Everybody stops; waits for the threads (at most some tenths of a second). From the thread that started. */
void iperf_test_stop(struct iperf_test *t);

/* Whether all threads, or all that send, have come to their end. */
bool iperf_test_is_idle(const struct iperf_test *t);
bool iperf_test_has_sent(const struct iperf_test *t);
/* A stream that failed; NULL: none. */
const struct iperf_stream *iperf_test_failure(const struct iperf_test *t);

/* Seconds that the bytes of a stream took, after iperf_test_stop. */
double iperf_test_seconds(const struct iperf_test *t, const struct iperf_stream *s);
/* Retransmissions of a TCP sender without the omitted time; -1 where there are none to know. */
int64_t iperf_test_retransmits(const struct iperf_test *t, unsigned index);
/* After iperf_test_stop; `exact`: the peer understands our exact counts. */
int iperf_test_results(const struct iperf_test *t, bool exact, struct iperf3_results *out,
		       struct err *e) ERR_MUST_CHECK;
