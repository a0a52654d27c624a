/* tftp-builtin - the builtin: target of bench-tftp: mpbench serve tftp in a child, with files of its own */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/url.h"
#include "io/sock.h"
#include "io/spawn.h"

struct tftp_builtin {
	struct child child;
	char directory[128];
	char *arguments[24];
	size_t n_arguments;
};

/*
 * Starts a server for the files "SIZE.bin" of the sizes given, in a directory that goes with it, and waits until it
 * serves (at most 10 s). The URL's query may say batch=on|off|N, batch-timeout=TIME, segment=no, single-port=yes,
 * threads=N. cpu >= 0 pins it.
 */
int tftp_builtin_start(struct tftp_builtin *b, const struct url *url, const uint64_t *sizes,
		       size_t n, uint64_t seed, int cpu, struct addr *address,
		       struct err *e) ERR_MUST_CHECK;
/* The name of the file of that size; out holds at least 32 bytes. */
char *tftp_builtin_file(uint64_t size, char *out);
/* Stops it and removes the files; legal on a zeroed one. */
void tftp_builtin_stop(struct tftp_builtin *b);
