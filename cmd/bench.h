/* bench - the one road of every benchmark: servers, engine, noise, document, table, exit status */
#pragma once

#include <sys/types.h>

#include "base/url.h"
#include "cmd.h"
#include "common.h"
#include "measure/engine.h"

/* A target as the document shows it: the identity is NULL-terminated key/value pairs, asked for after the runs. */
struct bench_target {
	const struct target *target; /* borrowed */
	const char *label;	     /* shown instead of target->label; NULL: that */
};

/*
 * What a subcommand hands over. cases as engine_run wants them. `before` (may be NULL) is called once when the servers run and nothing is measured
 * yet, and may change what the cases say; `derive` (may be NULL) adds metrics to the measurement,
 * `extend` (may be NULL) adds to the document (extensions, findings of its own) before the common findings; `identity`
 * (may be NULL) fills at most `max` strings (pairs, NULL-terminated) of target i, which must last until the next call.
 */
struct bench {
	const struct cmd *cmd;
	char **argv;	     /* as run() got it */
	const void *options; /* of cmd->table */
	const struct plan *plan;
	struct common *common;
	const struct bench_target *targets;
	size_t n_targets;
	const struct target *started; /* targets in the order of --start */
	size_t n_started;
	const struct engine_case *cases;
	size_t n_cases;
	const struct engine_probe *probes;
	size_t n_probes;
	const struct syscalls_opts *syscalls; /* NULL: the command has no such option */
	void *ctx;
	int (*before)(void *ctx, struct err *e);
	int (*derive)(void *ctx, struct measurement *m, struct err *e);
	int (*extend)(void *ctx, struct document *d, const struct measurement *m, struct err *e);
	void (*identity)(void *ctx, size_t i, const char **pairs, size_t max);
	/* Server process of target i that the command started itself; 0: none. NULL: the command starts none. */
	pid_t (*server)(void *ctx, size_t i);
};

/* Measures and writes. Returns the exit status: 0, ERR_TARGET when a case failed (the document is written all the same
 * and the reason printed), 128 + signal when the user ended it; -1 with *e for trouble of our own. */
int bench_go(const struct bench *b, struct err *e) ERR_MUST_CHECK;
