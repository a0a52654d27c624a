/* iperf-guest - one client of the server: its control connection, its streams, its thread */
#pragma once

#include <pthread.h>

#include "peer/iperf-server.h"
#include "proto/iperf3-server.h"

struct iperf_guest {
	const struct iperf_server_params *p;
	const struct addr *bound;   /* the server's address */
	pthread_mutex_t *udp_lock;  /* who takes datagrams from the port at the moment */
	pthread_mutex_t *tell_lock; /* `ended` is called by one at a time */
	int fd;			    /* control connection */
	int bell;		    /* eventfd: a data connection is in the box */
	int over_fd;		    /* borrowed eventfd of the server: written at the end */
	struct addr client;
	uint8_t cookie[IPERF3_COOKIE];
	struct thread *thread;
	atomic_bool over, complete;
	atomic_bool leaving; /* the results are out: it is over in a moment */
	struct err failure;  /* when over and not complete */
	/* data connections that the server's thread puts in, in the order in which they came */
	pthread_mutex_t box_lock;
	bool box_open;
	int box[2 * IPERF3_STREAMS_MAX];
	unsigned n_box, taken;
	struct iperf3_server machine;
	struct iperf_test test;
	uint64_t began_ns;
	bool have_params, have_ours;
	struct iperf3_results ours;
};

/* Takes fd. The thread starts at once. */
int iperf_guest_new(struct iperf_guest **out, const struct iperf_guest *like, int fd,
		    const struct addr *client, const uint8_t cookie[IPERF3_COOKIE],
		    struct err *e) ERR_MUST_CHECK;
/* A data connection with this guest's cookie; takes fd. False when none is wanted (fd stays the caller's). */
bool iperf_guest_offer(struct iperf_guest *g, int fd);
void iperf_guest_free(struct iperf_guest *g); /* waits for the thread */
