/* tftp-server - a TFTP server: one epoll loop per thread, batched I/O, bounded memory */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "io/sock.h"
#include "proto/tftp-reply.h"

/* A transfer or a refused request has ended; told from the thread that served it. Text is raw: file is what the client sent. */
struct tftp_server_event {
	const struct addr *client;
	const char *file;
	bool write;
	const char
		*why; /* NULL: complete; else a literal or strerror text, valid during the call */
	uint64_t bytes, duration_ns, timeouts, resent;
	const struct tftp_options *agreed;
	uint32_t blksize, windowsize;
};

struct tftp_server_params {
	const char *root, *write_root; /* write_root NULL: read-only */
	bool overwrite;
	const char *host; /* NULL: 127.0.0.1 */
	uint16_t port;	  /* 0: the kernel chooses */
	unsigned threads; /* share the port (SO_REUSEPORT) */
	unsigned batch;	  /* datagrams per system call, 1: recvfrom and sendto */
	uint64_t
		batch_timeout_ns; /* let datagrams gather so long before they are read; 0: read at once */
	bool segment;		  /* UDP_SEGMENT and UDP_GRO, with batch > 1 */
	bool single_port; /* answer from the listening port: one socket, so batches span clients */
	unsigned max_transfers,
		max_per_client; /* per thread; beyond them requests get an ERROR at once */
	struct tftp_limits limits;
	void (*ended)(void *ctx, const struct tftp_server_event *ev); /* may be NULL */
	void *ctx;
};
#define TFTP_SERVER_DEFAULT \
	{ \
		.threads = 1, .batch = 64, .segment = true, .max_transfers = 4096, \
		.max_per_client = 4096, .limits = TFTP_LIMITS_DEFAULT \
	}

struct tftp_server_stats {
	uint64_t requests, complete, failed, refused, bytes;
	uint64_t active, peak;
	uint64_t receive_calls, received, send_calls, sent;
	bool segmented; /* UDP_SEGMENT was not refused */
};

struct tftp_server;
/* Opens the directories and binds. Nothing is served before tftp_server_run. */
int tftp_server_open(struct tftp_server **out, const struct tftp_server_params *p,
		     struct err *e) ERR_MUST_CHECK;
const struct addr *tftp_server_address(const struct tftp_server *s);
/* Serves until the user asks to stop, with params.threads threads of which the caller is one. */
int tftp_server_run(struct tftp_server *s, struct err *e) ERR_MUST_CHECK;
/* Ends tftp_server_run; from any thread. */
void tftp_server_stop(struct tftp_server *s);
/* Sums over the threads; exact once tftp_server_run has returned. */
void tftp_server_stats(const struct tftp_server *s, struct tftp_server_stats *out);
void tftp_server_close(struct tftp_server *s);
CLEANUP_PTR(struct tftp_server, tftp_server_close)

/* For good: groups, gid, uid of that user, no new privileges. ERR_MACHINE when a step fails (nothing is served then). */
int tftp_server_drop(const char *user, struct err *e) ERR_MUST_CHECK;
