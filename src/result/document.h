/* document - the result: built whole in memory, written whole or not at all */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/opt.h"
#include "base/url.h"
#include "measure/host.h"
#include "measure/measurement.h"
#include "result/json.h"

/* The tree of results-schema/result-1.json. Every setter fails (ERR_INTERNAL) rather than leave a value out; text from
 * outside is made valid UTF-8 first, non-finite numbers become null. */
struct document {
	json_t *root;
};

#define DOCUMENT_VERSION "1.0"

struct document_head {
	const char *subcommand;
	int argc;
	char *const *argv;	 /* credentials in URLs are masked before they are stored */
	const struct opt *table; /* echoed as config.{what,how,out} */
	const void *options;
	const struct opt_strings *labels; /* K=V */
	const char *commit; /* of the measured project; NULL: from CI variables, else absent */
	char *(*variable)(
		const char *name); /* getenv: where CI says commit and branch; NULL: nowhere */
	const struct host *host;
};

/* Until document_finish the status is "interrupted". Fills schema, tool, run_id, started_at, command, labels, vcs, environment, config. */
int document_new(struct document *d, const struct document_head *h, struct err *e) ERR_MUST_CHECK;
void document_done(struct document *d);
CLEANUP_OBJ(struct document, document_done)

/* identity: NULL-terminated key/value pairs (banner, version, negotiated options), may be NULL. */
int document_add_target(struct document *d, const struct target *t, const char *const *identity,
			struct err *e) ERR_MUST_CHECK;
/* benchmarks[] with runs, distributions (percentiles, exact moments, histogram; raw samples when `samples`), errors,
 * usage, syscalls, metrics with summary; comparisons[] of each case's targets against the first. */
int document_add_measurement(struct document *d, const struct measurement *m, bool samples,
			     struct err *e) ERR_MUST_CHECK;
int document_add_noise(struct document *d, const struct noise *n, struct err *e) ERR_MUST_CHECK;
int document_add_warning(struct document *d, const char *code, const char *message,
			 struct err *e) ERR_MUST_CHECK;
/* findings[] of src/explain: {code, evidence, remedy} and the benchmark/target they are about (NULL: all). */
int document_add_finding(struct document *d, const char *code, const char *benchmark,
			 const char *target, const char *evidence, const char *remedy,
			 struct err *e) ERR_MUST_CHECK;
/* Anything else a subcommand has to say, below extensions.NAME; takes `value` also on failure. */
int document_add_extension(struct document *d, const char *name, json_t *value,
			   struct err *e) ERR_MUST_CHECK;
/* status complete / interrupted / failed, error {kind, code, message} when failed (why may be NULL), finished_at. */
int document_finish(struct document *d, const char *status, const struct err *why,
		    struct err *e) ERR_MUST_CHECK;
