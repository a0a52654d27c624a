/* student - the t distribution */
#pragma once

/* Two-sided p = P(|T| >= |t|) with df > 0 degrees of freedom (not necessarily whole), by the incomplete beta function
 * (continued fraction, DLMF 8.17.22); relative error about 1e-12 up to df 1e4, growing to 1e-9 at 1e7. NaN for NaN. */
double student_p(double t, double df);
/* The t > 0 with student_p(t, df) = p, for 0 < p < 1. */
double student_quantile(double p, double df);
/* The z > 0 with P(|Z| >= z) = p of the normal distribution, for 0 < p < 1. */
double normal_quantile(double p);
