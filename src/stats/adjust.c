#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "stats/compare.h"

struct tested {
	double p;
	size_t at;
};

static int compare_tested(const void *a, const void *b)
{
	double x = ((const struct tested *)a)->p, y = ((const struct tested *)b)->p;

	return (x > y) - (x < y);
}

static struct tested *sorted(const double *p, size_t n)
{
	struct tested *t = calloc(n ? n : 1, sizeof(*t));

	if (!t)
		return NULL;
	for (size_t i = 0; i < n; i++)
		t[i] = (struct tested){ p[i], i };
	qsort(t, n, sizeof(*t), compare_tested);
	return t;
}

int compare_holm(const double *p, size_t n, double *out, struct err *e)
{
	CLEANUP_FREE struct tested *t = sorted(p, n);
	double most = 0;

	if (!t)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++) {
		most = fmax(most, t[i].p * (double)(n - i));
		out[t[i].at] = fmin(1, most);
	}
	return 0;
}

int compare_benjamini_hochberg(const double *p, size_t n, double *out, struct err *e)
{
	CLEANUP_FREE struct tested *t = sorted(p, n);
	double least = 1;

	if (!t)
		return err_nomem(e);
	for (size_t i = n; i-- > 0;) {
		least = fmin(least, t[i].p * (double)n / (double)(i + 1));
		out[t[i].at] = least;
	}
	return 0;
}
