/* study - what a page is about: result files, their cases, and in each case the arms that are compared */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "result/diff.h"
#include "result/json.h"
#include "result/report.h"
#include "result/side.h"

enum {
	STUDY_FILES_MAX = 8,
	STUDY_CASES_MAX = 200, /* those beyond are counted, not shown */
	STUDY_ARMS_MAX = 16,   /* of a case */
};

/* What is known about an arm against the one it is compared with. */
struct contrast {
	bool known;
	bool exact;	      /* a count on which all runs agree */
	double ratio, lo, hi; /* NaN where unbounded or unknown */
	double p;	      /* NaN for none */
	enum verdict verdict; /* of a comparison of files; else VERDICT_NONE */
	double threshold;
	const struct arm *base;
};

/* One case on one target in one file. */
struct arm {
	size_t file;
	const json_t *benchmark; /* borrowed from the file */
	const char *target;
	char *label;	/* "rfc2217", "B new": where there is more than one arm on the page */
	unsigned color; /* 0..SVG_COLORS-1; arms beyond have no picture of their own */
	struct contrast contrast;
};

struct study_case {
	const char *name;
	char *title;	      /* "repl.upload chunk=64 size=4096" */
	char *params_text;    /* "chunk=64 size=4096", as in struct side_case */
	const json_t *params; /* of the first arm */
	const char *headline, *unit;
	enum better better;
	const char *
		distribution; /* what its pictures are of: latency, else the first there is; NULL: none */
	struct arm arm[STUDY_ARMS_MAX];
	size_t n;
	size_t left_out; /* arms beyond */
};

struct study_file {
	char *name;  /* for messages and the list of files: the path */
	char *label; /* "A base" */
	json_t *root;
	struct side side;
	struct report report; /* against the first file; not of the first itself */
};

struct study {
	struct study_file file[STUDY_FILES_MAX];
	size_t n_files;
	struct study_case *cases;
	size_t n_cases, left_out;
	bool several_targets;
};

/* Takes a new reference on each root, which must have passed load_check; the first file is what the others are compared
 * with by `rules` (diff_comparable). ERR_USAGE where they cannot be. */
int study_make(struct study *s, const char *const *names, json_t *const *roots, size_t n,
	       const struct diff_rules *rules, struct err *e) ERR_MUST_CHECK;
void study_done(struct study *s);
CLEANUP_OBJ(struct study, study_done)

/* The arms that have a picture. */
size_t study_drawn(const struct study_case *c);
/* Values of the case's headline in run order, NaN where a run has none; at most `max`, returns how many were put. */
size_t study_values(const struct study_case *c, const struct arm *a, double *out, size_t max);
/* A number of the case's distribution over all runs of an arm ("min"), and a percentile ("p99"); NaN where there is none. */
double study_moment(const struct study_case *c, const struct arm *a, const char *key);
double study_percentile(const struct study_case *c, const struct arm *a, const char *key);
/* Unit of the case's distribution; "". */
const char *study_unit(const struct study_case *c);
/* Whether the case's distribution is how long operations took; else it is of what its name says. */
bool study_latency(const struct study_case *c);
