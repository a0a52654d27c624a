/* spawn - every child process of mpbench is made here */
#pragma once

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "io/loop.h"

/*
 * fork+exec with: own process group (or session, with a pty), death signal SIGKILL when mpbench dies (more exactly:
 * when the thread that called spawn_start ends, so that thread must outlive the child), all descriptors but
 * stdin/stdout/stderr closed, signals and timer slack at their defaults. Failure to exec is reported by spawn_start
 * itself, for a held child by spawn_release (ERR_USAGE for not found / not executable: the message names the
 * program); nothing is left of the child then. What is still in the group when its leader has ended is killed with it.
 */
struct spawn_params {
	char *const *argv;	/* argv[0] is searched in PATH */
	const char *cwd;	/* NULL: ours */
	const char *const *env; /* "K=V" added to ours, NULL-terminated; NULL: none */
	int in, out, err;	/* descriptors for 0, 1, 2; -1: /dev/null */
	int tty; /* >= 0: slave of a pty; becomes 0, 1, 2 and the controlling terminal of a new session */
	int keep_fd; /* >= 0: this descriptor is passed on as number 3 (readiness) */
	bool hold; /* the child waits before exec until spawn_release (tracers attach in between) */
};
#define SPAWN_DEFAULT \
	{ \
		.in = -1, .out = -1, .err = -1, .tty = -1, .keep_fd = -1 \
	}

struct child {
	pid_t pid;
	int pidfd;    /* readable when it has ended */
	int hold_fd;  /* write end that releases a held child, -1 */
	int error_fd; /* where a held child reports a failed exec, -1 */
	bool reaped;
	int status;	     /* as of waitpid, when reaped */
	struct rusage usage; /* when reaped: of it and its waited-for children */
};

int spawn_start(struct child *c, const struct spawn_params *p, struct err *e) ERR_MUST_CHECK;
int spawn_release(struct child *c, struct err *e) ERR_MUST_CHECK;
/* True when it has ended (reaps it then; pidfd stays open until spawn_stop). Does not block. */
bool spawn_poll(struct child *c);
/* Sends a signal to the whole group; no error when it is gone. */
void spawn_signal(struct child *c, int signo);
/* SIGTERM to the group, SIGKILL after grace_ns, reaps; grace 0 kills at once. Blocks at most grace plus what the
 * kernel needs. Closes the descriptors in c, so every started child needs it once, also one that has ended. Legal on
 * a zeroed child. */
void spawn_stop(struct child *c, uint64_t grace_ns);
/* One line for messages: "exit status 3", "killed by SIGSEGV". Returns out. */
char *spawn_describe(const struct child *c, char *out, size_t size);

/* A fresh pty pair: master non-blocking CLOEXEC, slave opened O_NOCTTY CLOEXEC with cfmakeraw plus ISIG with VINTR
 * = ^C (code that runs can be interrupted, bytes pass unchanged). `path` (64 bytes) may be NULL. */
int pty_open(int *master, int *slave, char *path, struct err *e) ERR_MUST_CHECK;
