/* figure - a picture with its title, key and table; and the kinds of pictures there are */
#pragma once

#include "picture/numbers.h"
#include "picture/study.h"
#include "picture/svg.h"

/* What is being written. */
struct canvas {
	const struct study *study;
	struct buf *out; /* failure is out->failed */
	unsigned id;	 /* of the last figure */
	struct numbers *numbers;
	struct err *e;
};

/* The figure's title says what is seen, `what` what is drawn; both are escaped. numbers is emptied. */
void figure_begin(struct canvas *k, const char *title, const char *what);
/* Which colour, line and mark is which arm, where there are several. */
void figure_key(struct canvas *k, const struct study_case *c);
/* A heading for each arm. */
void figure_columns(struct canvas *k, const struct study_case *c);
/* svg_begin with the next id; height in SVG units. */
void figure_svg(struct canvas *k, struct svg *s, double height, const char *title,
		const char *desc);
/* A remark below the picture; escaped. */
void figure_note(struct canvas *k, const char *text);
/* The table, and the end. */
void figure_end(struct canvas *k, const char *caption);

/* The kinds; each writes nothing where the study has nothing for it. */
int figure_spectrum(struct canvas *k, const struct study_case *c) ERR_MUST_CHECK;
/* The same of the further distributions that an iperf test has: round trips idle and under load, send to acknowledgement, delay. */
int figure_spectra(struct canvas *k, const struct study_case *c) ERR_MUST_CHECK;
int figure_runs(struct canvas *k, const struct study_case *c) ERR_MUST_CHECK;
int figure_density(struct canvas *k, const struct study_case *c) ERR_MUST_CHECK;
int figure_timeline(struct canvas *k, const struct study_case *c) ERR_MUST_CHECK;
int figure_calls(struct canvas *k, const struct study_case *c) ERR_MUST_CHECK;
int figure_forests(struct canvas *k) ERR_MUST_CHECK;
int figure_budgets(struct canvas *k) ERR_MUST_CHECK;
int figure_bridges(struct canvas *k) ERR_MUST_CHECK;
int figure_traces(struct canvas *k) ERR_MUST_CHECK;
/* Marks in `member` (one a case of the study) the cases that became cells of a heat map, but for the best and worst of each. */
int figure_matrices(struct canvas *k, bool *member) ERR_MUST_CHECK;
