/* rpc-cases - the cases of bench-rpc: targets of any protocol times workloads times sizes and numbers of clients */
#pragma once

#include <pthread.h>

#include "bench.h"
#include "base/opt.h"
#include "io/session.h"
#include "io/sock.h"
#include "rpc-child.h"
#include "rpc-http.h"

enum { RPC_TARGETS_MAX = 16, RPC_CELLS_MAX = 1024, RPC_SCHEMES_MAX = 4 };

/* What an operation is. Every scheme says in its own words how it does it, or that it means nothing there. */
enum rpc_kind {
	RPC_CONNECT, /* a TCP connection, closed again after its time */
	RPC_READY, /* a connection of which a first answer came (RPyC: the root; HTTP: a first byte) */
	RPC_PING,	/* the smallest call there is */
	RPC_ECHO,	/* `size` bytes there and back, compared */
	RPC_UPLOAD,	/* `size` bytes there */
	RPC_DOWNLOAD,	/* `size` bytes from there */
	RPC_TRANSFER,	/* a file of `size` bytes there and back in pieces of `chunk`, compared */
	RPC_CALL,	/* --call NAME with --arg... */
	RPC_AGAINST,	/* --against NAME: the baseline that --call is compared with */
	RPC_CONCURRENT, /* pings of many clients at once */
	RPC_REUSE, /* a ping on a kept connection, and one on a new connection each time (`fresh`) */
	RPC_KINDS
};
/* The words of --case, in the order of enum rpc_kind up to RPC_REUSE (without RPC_AGAINST). */
extern const char *const rpc_case_names[];
extern const char *const rpc_payload_names[];  /* random, zero, text */
extern const char *const rpc_compress_names[]; /* never, auto */
extern const char *const rpc_sequence_names[]; /* direct, python */

struct rpc_opts {
	struct plan plan;
	struct common_opts common;
	struct compare_opts compare;
	struct syscalls_opts syscalls;
	struct opt_strings cases;
	struct opt_numbers sizes, chunks, concurrencies;
	bool has_sizes, has_chunks, has_concurrency, floor;
	int payload, compress, sequence;
	uint32_t in_flight;
	const char *call, *against, *expect;
	struct opt_strings args;
	struct rpc_http_opts http;
};

/* What one case asks of a scheme. payload is `size` bytes that last as long as the cases; it is filled
 * after the cases were made. */
struct rpc_work {
	enum rpc_kind kind;
	bool is_floor; /* on the builtin server, for the floor row */
	uint64_t size, chunk;
	const uint8_t *payload;
	uint32_t concurrency, in_flight;
	bool fresh;	  /* a new connection for each operation */
	bool alone;	  /* one session in its thread, closed loop */
	const char *call; /* of RPC_CALL and RPC_AGAINST */
	bool bare;	  /* without the arguments of --arg */
};

/* What happened in a window, summed over the sessions of a case. What a scheme does not know stays 0. */
struct rpc_tally {
	uint64_t requests, round_trips; /* sent; answered ones that were waited for */
	uint64_t opened, reused;	/* connections; requests on one that had carried another */
	uint64_t sent_bytes, received_bytes;
	uint64_t stalls;     /* pauses of 35 ms or more inside an answer */
	uint64_t compressed; /* frames, both ways */
	uint64_t refs_received,
		refs_released; /* references to objects: that came, that were given back */
	uint64_t exceptions;
};

struct rpc_scheme;
struct rpc_cases;

/* A server under test. */
struct rpc_target {
	struct rpc_cases *all;
	const struct rpc_scheme *scheme;
	const struct target *target;
	const struct url *url;
	unsigned index;
	struct addr address; /* resolved; of a builtin: its child's */
	bool is_builtin;
	struct rpc_child builtin;
	bool is_floor;
	void *facts; /* the scheme's */
};

/* What a window brought beside the engine's numbers. */
struct rpc_window {
	struct rpc_tally tally;
	double fairness; /* slowest over fastest client; NaN: not known */
};

/* One case on one target with one set of parameters. */
struct rpc_cell {
	struct rpc_cases *all;
	struct rpc_target *target;
	struct rpc_work work;
	void *plan; /* the scheme's; NULL where it needs none */
	uint64_t *
		answered; /* operations of each client in the window, counted by the scheme; one per client */
	struct rpc_window *window; /* room for plan.runs, in order */
	size_t n_windows;
};

/*
 * A protocol. One row of rpc_schemes (rpc-cases.c) for each.
 *
 * target    after the address was resolved (or the builtin started): checks the URL, makes t->facts. Nothing is asked
 *           of the server: --start may not have started it
 * cell      makes cell->plan and fills what the case needs beyond name, target and sessions (phases, further params by
 *           rpc_put_text and rpc_put_integer). Returns 1 where the case means nothing here: it is left out
 * filled    once for each cell, when work.payload holds its bytes: for what copies some. May be NULL
 * make      session_maker; ctx is the cell. What a target must be asked first is asked when the first session is made, in
 *           any thread (cell->all->lock is for that)
 * collect   between windows: sums and clears what was counted
 * identity  adds facts of the server with rpc_add_pair, after the runs
 */
struct rpc_scheme {
	const char *const *schemes;		  /* NULL-terminated: "rpyc" */
	const char *serve;			  /* `mpbench serve NAME`, and builtin:NAME */
	const char *const *serve_options;	  /* for the largest --size; NULL-terminated */
	uint16_t port;				  /* where the URL names none */
	uint16_t (*port_of)(const struct url *u); /* where it depends; may be NULL */
	int (*target)(struct rpc_target *t, struct err *e);
	int (*cell)(struct rpc_cell *cell, struct engine_case *ec, struct err *e);
	int (*filled)(struct rpc_cell *cell, struct err *e);
	session_maker *make;
	void (*collect)(struct rpc_cell *cell, struct rpc_tally *out);
	void (*identity)(struct rpc_target *t, const char **pairs, size_t *n, size_t max);
	void (*cell_done)(struct rpc_cell *cell);  /* cell->plan may be NULL */
	void (*target_done)(struct rpc_target *t); /* t->facts may be NULL */
};
extern const struct rpc_scheme rpc_scheme_rpyc;
extern const struct rpc_scheme rpc_scheme_http;

struct rpc_cases {
	const struct rpc_opts *opts;
	const struct log *log;
	struct target parsed[RPC_TARGETS_MAX + RPC_SCHEMES_MAX];
	/* n_targets of the user's, behind them the builtin servers of the floor, one for each scheme in use; parsed alike */
	struct rpc_target *target;
	size_t n_targets, n_all;
	struct rpc_cell **cell; /* one per engine case, same order */
	struct engine_case *cases;
	size_t n_cases, room;
	pthread_mutex_t lock;
	uint8_t *payload; /* of the largest size */
	char *against;	  /* the baseline's name */
	uint64_t payload_bytes;
	struct command_workload *client;
	size_t n_clients;
	struct buf after; /* text under the table */
};

/* Parses the targets, starts the builtin ones, makes the cases. */
int rpc_cases_make(struct rpc_cases *c, const struct rpc_opts *o, const char *const *operands,
		   size_t n, const struct log *log, struct err *e) ERR_MUST_CHECK;
void rpc_cases_done(struct rpc_cases *c);
CLEANUP_OBJ(struct rpc_cases, rpc_cases_done)

/* For schemes. */
void rpc_put_integer(struct engine_case *ec, const char *key, uint64_t value);
void rpc_put_text(struct engine_case *ec, const char *key, const char *value);
void rpc_add_pair(const char **pairs, size_t *n, size_t max, const char *key, const char *value);
