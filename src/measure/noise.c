#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "measure/host.h"
#include "measure/sysfile.h"

enum { TICKS_MIN = 20, CPUS_MAX = 4096, PROCESSES_MAX = 1 << 16 };

static void read_ticks(struct noise_gauge *g, const char *root)
{
	/* user nice system idle iowait irq softirq steal */
	uint64_t t[8] = { 0 };
	char text[512];
	const char *p = text;

	if (!sysfile_value(root, "/proc/stat", "cpu ", text, sizeof(text)))
		return;
	for (size_t i = 0; i < 8; i++)
		if (!sysfile_parse_u64(p, &t[i], &p) && i < 4)
			return;
	g->has_ticks = true;
	g->busy_ticks = t[0] + t[1] + t[2] + t[5] + t[6];
	g->steal_ticks = t[7];
	g->total_ticks = g->busy_ticks + t[3] + t[4] + t[7];
}

struct process {
	uint64_t pid, parent, ticks;
};

/* pid, parent and ticks (its own and those of the children it has waited for), see proc_pid_stat(5). */
static bool read_process(const char *root, const char *dir, struct process *out)
{
	char path[64], line[1024];
	const char *p;
	uint64_t v = 0;

	snprintf(path, sizeof(path), "/proc/%.32s/stat", dir);
	*out = (struct process){ 0 };
	if (!sysfile_line(root, path, line, sizeof(line)) ||
	    !sysfile_parse_u64(line, &out->pid, NULL))
		return false;
	p = strrchr(line, ')'); /* the name before it may hold anything */
	if (!p || strlen(p) < 4)
		return false;
	p += 4;
	for (int field = 4; field <= 17; field++) {
		p += strspn(p, " -");
		if (!sysfile_parse_u64(p, &v, &p))
			return false;
		if (field == 4)
			out->parent = v;
		else if (field >= 14)
			out->ticks += v;
	}
	return true;
}

static size_t list_processes(const char *root, struct process *list, size_t max)
{
	char path[PATH_MAX];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	if (snprintf(path, sizeof(path), "%s/proc", root) >= (int)sizeof(path))
		return 0;
	dir = opendir(path);
	if (!dir)
		return 0;
	while (n < max && (entry = readdir(dir))) /* NOLINT(concurrency-mt-unsafe) */
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			n += read_process(root, entry->d_name, &list[n]);
	closedir(dir);
	return n;
}

/* This process and all that descend from it, family by family: those found are swapped to the front. */
static uint64_t own_ticks(const char *root)
{
	CLEANUP_FREE struct process *list = calloc(PROCESSES_MAX, sizeof(*list));
	struct process self;
	size_t n, ours = 0;
	uint64_t sum;

	if (!read_process(root, "self", &self))
		return 0;
	sum = self.ticks;
	n = list ? list_processes(root, list, PROCESSES_MAX) : 0;
	for (size_t family = 0; family <= ours; family++) {
		uint64_t parent = family ? list[family - 1].pid : self.pid;

		for (size_t i = ours; i < n; i++) {
			struct process found = list[i];

			if (found.parent != parent || found.pid == self.pid)
				continue;
			sum += found.ticks;
			list[i] = list[ours];
			list[ours++] = found;
		}
	}
	return sum;
}

static uint64_t read_throttle(const char *root)
{
	uint64_t sum = 0, v;
	bool any = false;

	for (int cpu = 0; cpu < CPUS_MAX; cpu++) {
		char path[96];

		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu%d/thermal_throttle/core_throttle_count", cpu);
		if (!sysfile_u64(root, path, &v))
			break;
		sum += v;
		any = true;
	}
	return any ? sum : UINT64_MAX;
}

void noise_open(struct noise_gauge *g, const char *root)
{
	struct rusage usage;
	char text[256];
	const char *total;

	memset(g, 0, sizeof(*g));
	g->started_ns = clock_now();
	read_ticks(g, root);
	g->own_ticks = own_ticks(root);
	g->throttle_count = read_throttle(root);
	if (sysfile_value(root, "/proc/pressure/cpu", "some", text, sizeof(text))) {
		total = strstr(text, "total=");
		g->has_psi = total && sysfile_parse_u64(total + 6, &g->psi_some_us, NULL);
	}
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		g->involuntary = (uint64_t)usage.ru_nivcsw;
}

static void add_reason(struct noise *out, const char *what, double ratio)
{
	char *text = out->reasons[out->n_reasons++];

	if (isnan(ratio))
		snprintf(text, sizeof(out->reasons[0]), "%s", what);
	else
		snprintf(text, sizeof(out->reasons[0]), "%s %.0f %% of the CPU time", what,
			 100 * ratio);
}

static void judge(struct noise *out)
{
	if (out->other_cpu_ratio > 0.10)
		add_reason(out, "other processes took", out->other_cpu_ratio);
	if (out->steal_ratio > 0.02)
		add_reason(out, "the hypervisor took away (steal)", out->steal_ratio);
	if (out->throttled == 1)
		add_reason(out, "the CPU was throttled because of heat", (double)NAN);
	if (out->n_reasons)
		out->verdict = "noisy";
	else
		out->verdict = isnan(out->other_cpu_ratio) ? "unknown" : "quiet";
}

static double ratio(uint64_t from, uint64_t to, uint64_t whole)
{
	return (double)ns_since(from, to) / (double)whole;
}

void noise_close(const struct noise_gauge *g, const char *root, struct noise *out)
{
	struct noise_gauge now;
	uint64_t ticks, elapsed_us;

	noise_open(&now, root);
	*out = (struct noise){ .steal_ratio = (double)NAN,
			       .other_cpu_ratio = (double)NAN,
			       .psi_cpu_some_ratio = (double)NAN,
			       .throttled = -1 };
	ticks = ns_since(g->total_ticks, now.total_ticks);
	if (g->has_ticks && now.has_ticks && ticks >= TICKS_MIN) {
		double own = ratio(g->own_ticks, now.own_ticks, ticks);

		out->steal_ratio = ratio(g->steal_ticks, now.steal_ticks, ticks);
		out->other_cpu_ratio = fmax(0, ratio(g->busy_ticks, now.busy_ticks, ticks) - own);
	}
	elapsed_us = ns_since(g->started_ns, now.started_ns) / NS_PER_US;
	if (g->has_psi && now.has_psi && elapsed_us)
		out->psi_cpu_some_ratio =
			fmin(1, ratio(g->psi_some_us, now.psi_some_us, elapsed_us));
	if (g->throttle_count != UINT64_MAX && now.throttle_count != UINT64_MAX)
		out->throttled = now.throttle_count > g->throttle_count;
	out->involuntary_switches = ns_since(g->involuntary, now.involuntary);
	judge(out);
}
