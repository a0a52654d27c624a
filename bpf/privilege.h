/* privilege - what mpbench-bpf may do, and how it gives that up */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "syscalls.h"

/* Why something was refused; the text fits a FAULT record. */
struct fault {
	enum trace_fault code;
	int sys;
	char text[TRACE_TEXT];
};

/* Fills *f and returns -1. `sys` is an errno or 0. */
int fault_set(struct fault *f, enum trace_fault code, int sys, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Whether the effective capabilities suffice to load and attach (CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON). */
bool privilege_suffices(void);

/* The uid whose processes alone may be watched: the real uid unless it is 0; then (uid_t)-1, no limit. */
uid_t privilege_limit(void);

/*
 * Gives up for good what loading needed: every capability in every set, uid 0 with its groups (to the overflow ids), the
 * right to gain new privileges, and being debugged. Counters that are attached and mapped stay.
 */
int privilege_drop(struct fault *f);

/*
 * Opens a pidfd of a process and checks that it belongs to `limit` in every respect: its four uids, and its /proc entry,
 * which is root's where the process runs a set-uid or unreadable program. The pidfd is opened first and must still be
 * alive after the look, so the process looked at is the one it names.
 */
int privilege_open_pid(pid_t pid, uid_t limit, int *pidfd, struct fault *f);
