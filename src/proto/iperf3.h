/* iperf3 - words of the iperf3 protocol: state bytes, parameters and results as JSON, cookies */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * iperf3 has no document but its source (esnet/iperf, src/iperf_api.h and src/iperf_api.c). One TCP connection carries
 * control: the client's cookie, then single signed bytes, and JSON behind a 32-bit length, most significant byte first.
 */
enum iperf3_state {
	IPERF3_TEST_START = 1,
	IPERF3_TEST_RUNNING = 2,
	IPERF3_TEST_END = 4,
	IPERF3_PARAM_EXCHANGE = 9,
	IPERF3_CREATE_STREAMS = 10,
	IPERF3_SERVER_TERMINATE = 11,
	IPERF3_CLIENT_TERMINATE = 12,
	IPERF3_EXCHANGE_RESULTS = 13,
	IPERF3_DISPLAY_RESULTS = 14,
	IPERF3_DONE = 16,
	IPERF3_ACCESS_DENIED = 0xff,
	IPERF3_SERVER_ERROR = 0xfe,
};

enum {
	IPERF3_PORT = 5201,
	IPERF3_COOKIE = 37, /* bytes, the last one NUL */
	IPERF3_PARAMS_MAX = 8192,
	IPERF3_RESULTS_MAX = 4 << 20,
	IPERF3_STREAMS_MAX = 128, /* each way */
	IPERF3_LEN_MAX = 1 << 20, /* TCP block */
	IPERF3_UDP_LEN_MIN = 16,
	IPERF3_UDP_LEN_MAX = 65507,
	IPERF3_OMIT_MAX_S = 600,
	IPERF3_TIME_MAX_S = 86400,
	IPERF3_TEXT_MAX = 64,
};

/* MicroPython's server wants a rate with datagrams, also where there is no limit: from this one on it is none. */
#define IPERF3_NO_LIMIT UINT64_C(1000000000000)

/* 36 characters a-z2-7 made of random bytes, and NUL. */
void iperf3_cookie(uint8_t out[IPERF3_COOKIE], const uint8_t random[IPERF3_COOKIE]);

/* "CREATE_STREAMS"; "state 0x42" for what is none, in text[24]. */
const char *iperf3_state_name(uint8_t state, char text[24]);
/* What an i_errno of SERVER_ERROR means, in our words; NULL when unknown. */
const char *iperf3_error_text(int32_t code);

/* Stream ids go 1, 3, 4, 5...: 2 was skipped once and must stay so. */
static inline int iperf3_stream_id(unsigned index)
{
	return index == 0 ? 1 : (int)index + 2;
}

/* Parameters, client to server. Numbers that are 0 are unset and (but for omit, time, num, blockcount) not sent. */
struct iperf3_params {
	bool udp;
	uint32_t omit_s, time_s;
	uint64_t num, blockcount;
	uint32_t parallel;
	bool reverse, bidir;
	uint64_t len;
	uint64_t bandwidth; /* bits per second and stream; 0: unlimited (not sent) */
	uint64_t fqrate;
	uint32_t pacing_timer_us, burst;
	uint32_t window, mss, tos;
	uint32_t flow_label; /* told, never read */
	bool nodelay, dont_fragment;
	bool get_server_output, udp64, repeating_payload, zerocopy, skip_rx_copy;
	int32_t server_affinity; /* -1: none */
	bool authtoken;		 /* came with one (never sent) */
	char congestion[IPERF3_TEXT_MAX], title[IPERF3_TEXT_MAX], extra_data[IPERF3_TEXT_MAX];
	char client_version[IPERF3_TEXT_MAX];
};

/* Appends the JSON. */
int iperf3_params_encode(const struct iperf3_params *p, struct buf *out,
			 struct err *e) ERR_MUST_CHECK;
/* Unknown keys and wrong types are ignored as iperf3 does. Fails for what is no object (*refusal 114) and for values out of
 * range (*refusal the i_errno that iperf3 answers with: 5 time, 6 streams, 7 block, 12 omit, 20 datagram, 131 sctp). */
int iperf3_params_decode(struct iperf3_params *out, const char *text, size_t len, int32_t *refusal,
			 struct err *e) ERR_MUST_CHECK;

/*
 * One stream's end, in iperf3's meaning: `packets` is the highest number seen or sent, `errors` what is missing of it.
 * Counts are -1 where unknown; versions 3.12 and 3.13 write that as 2^64-1.
 */
struct iperf3_stream_result {
	int id;
	uint64_t bytes;
	int64_t retransmits, errors, packets, omitted_errors, omitted_packets;
	double jitter_s, start_s, end_s;
	bool has_omitted;
	/* Sent only between two mpbench: what was received exactly, which iperf3's meaning cannot say. */
	bool has_exact;
	int64_t unique, duplicates, reordered, late;
};
#define IPERF3_VERSION_OURS "mpbench"

struct iperf3_results {
	double cpu_total, cpu_user, cpu_system; /* percent of one CPU */
	int has_retransmits;			/* 1, 0, -1 */
	char congestion[IPERF3_TEXT_MAX];	/* "": none */
	struct iperf3_stream_result *stream;	/* owned */
	size_t n;
	char *server_output; /* text, or JSON as text; owned; NULL: none */
	bool output_is_json;
};

int iperf3_results_encode(const struct iperf3_results *r, struct buf *out,
			  struct err *e) ERR_MUST_CHECK;
/* Fails ("protocol") where a key that iperf3 requires is missing, ids repeat or numbers are absurd. */
int iperf3_results_decode(struct iperf3_results *out, const char *text, size_t len,
			  struct err *e) ERR_MUST_CHECK;
void iperf3_results_done(struct iperf3_results *r);
CLEANUP_OBJ(struct iperf3_results, iperf3_results_done)
/* NULL when there is none of that id. */
const struct iperf3_stream_result *iperf3_results_find(const struct iperf3_results *r, int id);

/* A JSON text behind its length, as it goes over the control connection; -1 when memory is short. */
int iperf3_frame(struct buf *out, const char *json, size_t len);
