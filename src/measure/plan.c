#include "measure/plan.h"

#include <sched.h>
#include <string.h>

#include "base/num.h"

/* clang-format off */
#define ROWS_BEFORE \
	OPT_TITLE("How it is measured"), \
	OPT_U64_ROW('n', "iterations", OPT_HOW, struct plan, iterations, "N", "operations per run (default: what fits)", .min = 1, .max = 1000000000), \
	OPT_DURATION_ROW(0, "duration", OPT_HOW, struct plan, duration_ns, "TIME", "length of a run instead of a count", .min = 1000000, .max = UINT64_C(86400000000000)), \
	OPT_U32_ROW(0, "runs", OPT_HOW, struct plan, runs, "N", "independent runs of each case", .min = 1, .max = 10000), \
	OPT_U64_ROW(0, "warmup", OPT_HOW, struct plan, warmup, "N", "operations discarded per run (default: automatic)", .min = 0, .max = 1000000000), \
	OPT_DURATION_ROW(0, "timeout", OPT_HOW, struct plan, timeout_ns, "TIME", "longest wait for one operation (opening: 5 s at least)", .min = 1000000, .max = UINT64_C(3600000000000)),
#define ROWS_AFTER \
	OPT_U32_ROW(0, "threads", OPT_HOW, struct plan, threads, "N", "threads that share the sessions", .min = 1, .max = 256), \
	OPT_RATE_ROW(0, "rate", OPT_WHAT, struct plan, rate, "RATE", "open loop: operations per second, timed from plan", .min = 1, .max = 10000000), \
	OPT_DURATION_ROW(0, "settle", OPT_HOW, struct plan, settle_ns, "TIME", "pause between runs", .min = 0, .max = UINT64_C(3600000000000)), \
	OPT_DURATION_ROW(0, "budget", OPT_HOW, struct plan, budget_ns, "TIME", "whole time, where -n and --duration are not given", .min = 100000000, .max = UINT64_C(86400000000000)), \
	OPT_U64_ROW(0, "seed", OPT_HOW, struct plan, seed, "N", "of everything random"), \
	OPT_DOUBLE_ROW(0, "max-errors", OPT_HOW, struct plan, max_errors, "SHARE", "failures beyond this exit with 4"), \
	OPT_STRING_ROW(0, "pin", OPT_HOW, struct plan, pin, "CPU[,CPU]", "CPUs of the client and of started servers"), \
	OPT_STRINGS_ROW(0, "start", OPT_WHAT, struct plan, starts, "CMD", "start this server first (one per target, in order)"), \
	OPT_FLAG_ROW(0, "samples", OPT_OUT, struct plan, samples, "keep raw samples in the document"),

const struct opt plan_opts[] = {
	ROWS_BEFORE
	OPT_U32_ROW('c', "concurrency", OPT_WHAT, struct plan, concurrency, "N", "sessions at once", .min = 1, .max = 100000),
	ROWS_AFTER
	OPT_END,
};

const struct opt plan_matrix_opts[] = {
	ROWS_BEFORE
	ROWS_AFTER
	OPT_END,
};
/* clang-format on */

int plan_check(const struct plan *p, struct err *e)
{
	int client, server;

	if (p->iterations && p->duration_ns)
		return err_set(e, ERR_USAGE, "usage",
			       "--iterations and --duration exclude each other: give one");
	if (p->threads > p->concurrency)
		return err_set(
			e, ERR_USAGE, "usage",
			"--threads %u needs at least as many sessions: raise --concurrency (%u)",
			p->threads, p->concurrency);
	if (p->max_errors < 0 || p->max_errors > 1)
		return err_set(e, ERR_USAGE, "usage",
			       "--max-errors is a share from 0 to 1 (or 0%% to 100%%)");
	if (p->rate && p->threads > 1 && p->rate < p->threads)
		return err_set(e, ERR_USAGE, "usage",
			       "--rate %llu is less than one a second per thread",
			       (unsigned long long)p->rate);
	return plan_pin(p, &client, &server, e);
}

static int parse_cpu(const char *text, size_t len, int *out, struct err *e)
{
	char copy[16];
	uint64_t cpu;

	if (len == 0 || len >= sizeof(copy))
		return err_set(e, ERR_USAGE, "usage",
			       "--pin wants CPU numbers, for example --pin 0,1");
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (num_parse_u64(copy, &cpu, e) < 0)
		return err_wrap(e, "--pin");
	if (cpu >= CPU_SETSIZE)
		return err_set(e, ERR_USAGE, "usage", "--pin: there is no CPU %s", copy);
	*out = (int)cpu;
	return 0;
}

int plan_pin(const struct plan *p, int *client, int *server, struct err *e)
{
	const char *comma;

	*client = *server = -1;
	if (!p->pin)
		return 0;
	comma = strchr(p->pin, ',');
	if (parse_cpu(p->pin, comma ? (size_t)(comma - p->pin) : strlen(p->pin), client, e) < 0)
		return -1;
	return comma ? parse_cpu(comma + 1, strlen(comma + 1), server, e) : 0;
}
