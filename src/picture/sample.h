/* sample - all values of one distribution: of the runs of an arm that are ok */
#pragma once

#include "result/json.h"
#include "stats/histogram.h"

struct sample {
	struct histogram h;
	double min, max; /* exact; NaN when empty */
};

/* Of one run, which may lack the distribution: then empty. Histograms of other precision are put into the nearest
 * buckets. *out is owned by the caller, also on failure. */
int sample_of_run(const json_t *run, const char *distribution, struct sample *out,
		  struct err *e) ERR_MUST_CHECK;
/* Of all runs that are ok. */
int sample_of_all(const json_t *benchmark, const char *distribution, struct sample *out,
		  struct err *e) ERR_MUST_CHECK;
void sample_done(struct sample *s);
CLEANUP_OBJ(struct sample, sample_done)

/* Values at shares of the sample (0..1, ascending) by nearest rank, within min..max; the sample is not empty. */
void sample_quantiles(const struct sample *s, const double *share, size_t n, double *out);
/* How many values lie in each of n cells, whose n+1 ends ascend; what spans several is spread evenly over them. */
void sample_cells(const struct sample *s, const double *end, size_t n, double *out);
