/* tftp-batching - does the server's recvmmsg gather anything? */
#pragma once

#include "tftp-cases.h"

/*
 * A finding where the server's recvmmsg is of no use, by its counted calls (--syscalls): most of them find nothing, because a non-blocking
 * socket ignores the time-out argument; or they hold back what came, because a blocking one looks at the time-out only after a datagram
 * (recvmmsg(2), BUGS); or each brings one datagram. Nothing where calls were not counted or are few.
 */
int tftp_batching_advise(const struct tftp_cases *c, size_t i, struct document *d,
			 const struct benchmark *b, struct err *e) ERR_MUST_CHECK;
