/* judge - what the commands that compare share: options, output formats, exit status */
#pragma once

#include "base/opt.h"
#include "result/diff.h"
#include "result/table.h"

/* Rows over struct diff_opts. */
extern const struct opt judge_opts[];

/* How a report is shown. */
struct judge_output {
	const char *output; /* FILE; NULL: standard output */
	int format;	    /* enum format */
	int better;	    /* of gab: 0 lower, 1 higher */
	bool json, quiet;
	uint32_t verbose;
	int color; /* enum term_color */
};
extern const struct opt judge_output_opts[];

struct table_style judge_style(const struct judge_output *o);
/* Into the file (whole or not at all is for results only) or onto standard output. */
int judge_write_text(const char *text, size_t len, const struct judge_output *o,
		     struct err *e) ERR_MUST_CHECK;
/* Writes the report as asked for. */
int judge_write(const struct report *r, const struct judge_output *o, struct err *e) ERR_MUST_CHECK;
