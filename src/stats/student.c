#include "stats/student.h"

#include <float.h>
#include <math.h>

enum { FRACTION_TERMS = 100000 };

/* log(gamma(a + 1/2) / gamma(a)). For large a the difference of two lgamma would lose the digits that they share, so
 * the asymptotic series of the quotient is taken there. */
static double log_gamma_half_step(double a)
{
	double r = 1 / (a * a);

	if (a < 20)
		return lgamma(a + 0.5) - lgamma(a);
	return 0.5 * log(a) +
	       (-1.0 / 8 + r * (1.0 / 192 + r * (-1.0 / 640 + r * (17.0 / 14336)))) / a;
}

static double away_from_zero(double v)
{
	return fabs(v) < DBL_MIN ? DBL_MIN : v;
}

/* The continued fraction of I_x(a, b) by Lentz's method; converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b)
{
	double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), f = d;

	for (int m = 1; m <= FRACTION_TERMS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 / away_from_zero(1 + even * d);
		c = away_from_zero(1 + even / c);
		f *= d * c;
		d = 1 / away_from_zero(1 + odd * d);
		c = away_from_zero(1 + odd / c);
		step = d * c;
		f *= step;
		if (fabs(step - 1) < DBL_EPSILON)
			break;
	}
	return f;
}

/* p = I_x(df/2, 1/2) with x = df / (df + t^2). */
double student_p(double t, double df)
{
	double a = df / 2, ratio = t * t / df, y, front;

	if (isnan(t) || isnan(df))
		return (double)NAN;
	if (isinf(t) || isinf(ratio))
		return 0;
	y = ratio / (1 + ratio);
	front = exp(log_gamma_half_step(a) - a * log1p(ratio)) * sqrt(y / M_PI);
	if (1 - y < (a + 1) / (a + 2.5))
		return front / a * beta_fraction(1 / (1 + ratio), a, 0.5);
	return 1 - front * 2 * beta_fraction(y, 0.5, a);
}

/* Bisection: p falls as x grows. */
static double invert(double p, double df, double (*tail)(double x, double df))
{
	double lo = 0, hi = 1;

	while (tail(hi, df) > p && hi < DBL_MAX / 2)
		hi *= 2;
	for (int i = 0; i < 200; i++) {
		double mid = lo + (hi - lo) / 2;

		if (mid <= lo || mid >= hi)
			break;
		if (tail(mid, df) > p)
			lo = mid;
		else
			hi = mid;
	}
	return hi;
}

double student_quantile(double p, double df)
{
	return invert(p, df, student_p);
}

static double normal_p(double z, double unused)
{
	(void)unused;
	return erfc(z / M_SQRT2);
}

double normal_quantile(double p)
{
	return invert(p, 0, normal_p);
}
