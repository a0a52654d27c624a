/* tftp-prepare - what is done for a cell before it is timed: the reference content, the first answer of the server */
#pragma once

#include "tftp-cases.h"

/* --expect: a file, a directory of files, or a SHA-256 in hex. ERR_USAGE. */
int tftp_expect_load(struct tftp_cases *c, struct err *e) ERR_MUST_CHECK;

/*
 * The session_maker of a cell. Its first call transfers the file once, untimed: to have the bytes that all transfers are compared with, to
 * see that the server answers at all (a silent one is not asked again and again), for a write to read it back, for the case
 * options to try each option. What goes wrong there makes the sessions' opening fail with its class.
 */
int tftp_cell_session(void *cell, struct loop *loop, unsigned index, struct sub_sink *sink,
		      struct session **out, struct err *e);
