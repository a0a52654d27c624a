/* tftp-gather - when the blocks of a window that are still to come are worth a system call */
#pragma once

#include <stdint.h>

/*
 * A sender that sends each block by itself wakes a reader that waits in its socket for nearly each of them. Nothing is to be answered before the
 * window is complete, so the reader may as well stay away for half of the time that the rest will take, going by what it saw: it
 * comes back often enough not to miss the end, and in a window of 64 needs about ten calls where it would need forty.
 */
struct tftp_gather {
	uint64_t first_ns; /* arrival of the present window's first blocks */
	uint64_t gap_ns;   /* from block to block; 0: not known yet */
};

/* After blocks were read at now_ns: `taken` of the window's `size` are there (0: it is complete). Returns how long to stay away, 0 to wait in
 * the socket. */
uint64_t tftp_gather_wait(struct tftp_gather *g, uint32_t taken, uint32_t size, uint64_t now_ns);
