/* common - what every command that writes a result does the same way */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/opt.h"
#include "result/document.h"
#include "result/table.h"

/* Beside struct plan, which says how hard and how long. */
struct common_opts {
	struct opt_strings labels; /* K=V */
	const char *commit;	   /* of the measured project */
	const char *output;	   /* FILE or "-", %r is the rank; NULL: none */
	const char *start_at;	   /* RFC 3339 or @SECONDS; NULL: at once */
	bool json, quiet, host_name;
	uint32_t verbose;
	int color; /* enum term_color */
	/* Only in common_opts. */
	const char *baseline;	 /* result file to compare with; NULL: none */
	struct opt_strings that; /* limits */
};
/* For benches: all of it; for what writes a result that has no runs to judge: without --baseline and --that. */
extern const struct opt common_opts[];
extern const struct opt common_plain_opts[];

/* Commands that time the user's own client, or count system calls, add these two groups. */
struct compare_opts {
	struct opt_strings clients; /* command lines, {} stands for the target */
};
extern const struct opt compare_opts[];

/* pid:N|port:69/udp|server|self[,auto]; "server" when it stands alone; NULL: off */
struct syscalls_opts {
	const char *syscalls;
};
extern const struct opt syscalls_opts[];

enum { COMMON_WARNINGS_MAX = 64 };

struct common_warning {
	char code[32];
	char text[512];
};

/* One invocation: its options, its terminal, and the warnings that were said, each once. `log` may be used from any
 * thread between common_init and common_done. */
struct common {
	const struct common_opts *opts;
	const char *subcommand;
	char *output; /* where the document goes, %r replaced; NULL: nowhere */
	struct table_style style;
	struct log log;
	struct common_warning *warning;
	size_t n_warnings, dropped;
};

/* Whether a file can be written there in the end: a name, in a directory that takes it; "-" is standard output. */
int common_check_output(const char *option, const char *path, struct err *e) ERR_MUST_CHECK;
/* Checks the options (labels, the directory of -o, --start-at) before anything is measured. */
int common_init(struct common *c, const struct common_opts *opts, const char *subcommand,
		struct err *e) ERR_MUST_CHECK;
void common_done(struct common *c);
CLEANUP_OBJ(struct common, common_done)

/* Waits for --start-at, or until the user asks to stop; a time that has passed is a warning. */
int common_wait_start(struct common *c, struct err *e) ERR_MUST_CHECK;
/* RFC 3339 with zone ("2026-03-01T12:00:00Z", fractions allowed) or "@SECONDS" as ns since the epoch. */
int common_parse_time(const char *text, uint64_t *out_ns, struct err *e) ERR_MUST_CHECK;

/* Adds the collected warnings to the document. */
int common_add_warnings(struct common *c, struct document *d, struct err *e) ERR_MUST_CHECK;
/* Writes a finished document: to -o FILE whole or not at all; to stdout as JSON with --json, else as a table
 * (not with -q, nor when "-o -" took stdout). */
int common_write(const struct common *c, json_t *root, struct err *e) ERR_MUST_CHECK;
