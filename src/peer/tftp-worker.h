/* tftp-worker - one thread of the TFTP server: its listening socket and the transfers it serves */
#pragma once

#include "io/dgram.h"
#include "io/loop.h"
#include "peer/tftp-files.h"
#include "peer/tftp-server.h"

enum { TFTP_BUCKETS = 4096 };

struct transfer;
struct tftp_client_count;

struct tftp_worker {
	const struct tftp_server_params *params;
	const struct tftp_files *files;
	struct addr bound; /* what the listening socket is bound to */
	bool wildcard;
	struct loop *loop;
	int fd;
	struct watch watch;
	struct timer gather;
	struct dgram_in requests, data;
	struct dgram_out out;
	struct transfer *bucket[TFTP_BUCKETS];
	struct tftp_client_count *client[TFTP_BUCKETS];
	uint64_t serial;
	struct tftp_server_stats stats;
	struct err failure;
};

/* Takes the bound socket fd over, also on failure. */
int tftp_worker_init(struct tftp_worker *w, const struct tftp_server_params *p,
		     const struct tftp_files *files, int fd, struct err *e) ERR_MUST_CHECK;
/* Serves on the calling thread until the loop ends: the user's wish, or `stop_fd` becomes readable. */
int tftp_worker_run(struct tftp_worker *w, int stop_fd, struct err *e) ERR_MUST_CHECK;
void tftp_worker_done(struct tftp_worker *w);
