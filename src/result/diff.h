/* diff - two sides of result files, metric by metric */
#pragma once

#include "base/opt.h"
#include "result/report.h"
#include "result/selector.h"
#include "result/side.h"

struct diff_threshold {
	struct selector of;
	double value;
};

/* What `mpbench diff`, `mpbench pair` and --baseline share; texts as typed, see diff_options. */
struct diff_opts {
	struct opt_strings thresholds; /* "5%" or "PATTERN=5%" */
	struct opt_strings gates;      /* selectors: these metrics count for the exit status too */
	struct opt_strings allow;      /* patterns of config.what keys that may differ */
	struct opt_strings fail_on;    /* regression, inconclusive, missing, noisy */
	bool strict;
};

struct diff_rules {
	double threshold;
	struct diff_threshold threshold_of[OPT_LIST_MAX]; /* later ones win */
	size_t n_thresholds;
	struct selector gate[OPT_LIST_MAX];
	size_t n_gates;
	const struct opt_strings *allow; /* borrowed */
	bool strict;
};
#define DIFF_THRESHOLD 0.05

/* Checks and compiles the texts; ERR_USAGE. `out` borrows from `o`. */
int diff_rules_parse(struct diff_rules *out, const struct diff_opts *o,
		     struct err *e) ERR_MUST_CHECK;

/* Whether the two may be compared: subcommand and config.what alike, but for the keys that are allowed; ERR_USAGE names the
 * first that is not. Also within a side of several files. */
int diff_comparable(const struct side *base, const struct side *new, const struct diff_rules *rules,
		    struct err *e) ERR_MUST_CHECK;

/*
 * Matches cases and metrics and judges each. A metric gates when it is its case's headline, an exact count, or named by a
 * gate; Holm's adjustment runs over those, and apart from them over the others. Runs of both sides that come from one
 * interleaved session are paired. Warnings become notes. ERR_USAGE when nothing matches or a gate matches nothing. The
 * report borrows from the sides.
 */
int diff_make(const struct side *base, const struct side *new, const struct diff_rules *rules,
	      struct report *out, struct err *e) ERR_MUST_CHECK;

/* The keys of config.what in which the sides' first files differ: "chunk 64 -> 256", one per line. */
int diff_what(const struct side *base, const struct side *new, struct buf *out) ERR_MUST_CHECK;

/* ERR_CHECK when the report has what `fail_on` names (NULL or empty: regression), else 0. */
int diff_status(const struct report *r, const struct opt_strings *fail_on);
