/* tftp-cases - the cases of bench-tftp: targets times workloads times the matrix of options */
#pragma once

#include <pthread.h>

#include "base/opt.h"
#include "bench.h"
#include "peer/tftp-capability.h"
#include "peer/tftp-session.h"
#include "tftp-builtin.h"

/* The request and our own patience. */
struct tftp_request_opts {
	bool tsize, netascii, spin;
	uint32_t option_timeout, retries;
	int rollover;
	uint64_t retransmit_ns;
};
/* The link, impaired inside the client. */
struct tftp_link_opts {
	uint64_t rtt_ns, jitter_ns;
	double loss, dup, reorder;
	const char *script_out, *script_in;
};

struct tftp_opts {
	struct plan plan;
	struct common_opts common;
	struct compare_opts compare;
	struct syscalls_opts syscalls;
	struct tftp_request_opts request;
	struct tftp_link_opts link;
	struct opt_strings cases, profiles;
	struct opt_numbers blksizes, windowsizes, sizes, concurrencies;
	bool put, has_blksize, has_windowsize, has_concurrency, has_sizes;
	const char *find_max; /* clients, rate; NULL: nothing is looked for */
	const char *expect;
	uint64_t max_p99_ns;
};

enum { TFTP_TARGETS_MAX = 16, TFTP_CELLS_MAX = 1024 };

enum tftp_kind {
	TFTP_KIND_READ,
	TFTP_KIND_REQUEST,
	TFTP_KIND_WRITE,
	TFTP_KIND_STORM,
	TFTP_KIND_OPTIONS
};
extern const char *const tftp_case_names[];
/* auto, 0, 1 */
extern const char *const tftp_rollover_names[];
extern const char *const tftp_profile_names[];

/* What one file of one target must be; shared by the cells that read it. */
struct tftp_reference {
	struct tftp_content content;
	bool known;
	char file[512], sha256[65];
};
enum { TFTP_REFERENCES_MAX = 64 };

/* A server under test. */
struct tftp_target {
	const struct target *target;
	const struct url *url;
	unsigned index;
	struct addr address;
	struct tftp_builtin builtin;
	bool is_builtin;
	const char *dead_word; /* it did not answer: nobody asks again */
	char dead_detail[256];
	struct tftp_reference reference[TFTP_REFERENCES_MAX];
	size_t n_references;
	struct tftp_capability capability[TFTP_CAPABILITIES_MAX];
	size_t n_capabilities;
	char negotiated[160];
};

/* What a window brought beside the engine's numbers. */
struct tftp_window {
	struct tftp_tally tally;
	uint64_t rcvbuf_errors; /* of the host, /proc/net/snmp and snmp6 */
};

struct tftp_search;
/* One case on one target with one set of options. */
struct tftp_cell {
	struct tftp_cases *all;
	struct tftp_target *target;
	enum tftp_kind kind;
	struct tftp_plan plan;
	char file[512];
	uint64_t size; /* of a write, or of the builtin's file */
	uint32_t concurrency;
	struct tftp_reference *reference;
	struct tftp_content sent;
	bool prepared, unverified;
	char dead_detail[256];
	struct tftp_window *window; /* one per measured run, in order */
	size_t n_windows;
	uint64_t rcvbuf_errors_before;
	struct tftp_search
		*search; /* how concurrency, or the rate, was found; NULL: it was given */
};

struct tftp_cases {
	const struct tftp_opts *opts;
	const struct log *log;
	struct target parsed[TFTP_TARGETS_MAX];
	struct tftp_target *target; /* n_targets */
	size_t n_targets;
	struct tftp_cell **cell; /* one per engine case, same order */
	struct engine_case *cases;
	size_t n_cases, room;
	pthread_mutex_t
		lock; /* cells prepare themselves when their first session is made, in any thread */
	struct command_workload *client;
	size_t n_clients;
	struct buf after; /* printed behind the table: grids, capabilities */
};

/* Parses the targets, starts the builtin ones, makes the cases. */
int tftp_cases_make(struct tftp_cases *c, const struct tftp_opts *o, const char *const *operands,
		    size_t n, const struct log *log, struct err *e) ERR_MUST_CHECK;
void tftp_cases_done(struct tftp_cases *c);
CLEANUP_OBJ(struct tftp_cases, tftp_cases_done)
