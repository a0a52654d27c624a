/* host - what the numbers were measured on, and how noisy it was */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

/* Tristates are -1 unknown, 0 no, 1 yes. Texts are "" when unknown. Everything read from /proc and /sys below `root`
 * ("" in production; tests give a directory). */
struct host {
	char os[96], kernel[96], arch[32], virt[32], cpu_model[96], governor[32], driver[32];
	char host_name[96]; /* only filled when asked for */
	int container, smt, turbo, aslr;
	uint32_t cpus_logical, cpus_physical;
	char affinity[128];
	uint64_t memory_bytes, max_khz;
	uint64_t nofile_limit;
	struct clock_cost clock;
	char fingerprint
		[17]; /* hex of a 64-bit FNV-1a over kernel, arch, cpu_model, cpus, memory, governor, virt */
	char boot_id[40];
	bool ci;
	char ci_name[32]; /* "github", "gitlab", "generic" */
	char ci_attempt[16];
};
/* virt: "none", the hypervisor's name ("kvm", "xen", "vmware", "virtualbox", "microsoft", "amazon", "google"...), or
 * "vm" where only the CPU's flag tells. cpus_*: 0 unknown. ci from GITHUB_ACTIONS, GITLAB_CI, CI of the environment;
 * affinity is that of this process ("0-3,8"). Takes about 1 ms (the clock is measured). */
void host_read(struct host *out, const char *root, bool with_name);

/* The noise gauge: opened before the first run, closed after the last. */
struct noise_gauge {
	uint64_t started_ns;
	uint64_t total_ticks, busy_ticks, steal_ticks, own_ticks;
	uint64_t psi_some_us;
	uint64_t
		throttle_count; /* thermal throttle events of all CPUs; UINT64_MAX: this machine does not say */
	uint64_t involuntary;
	bool has_psi, has_ticks;
};
struct noise {
	const char *verdict; /* "quiet", "noisy", "unknown" */
	char reasons[4][128];
	unsigned n_reasons;
	double steal_ratio, other_cpu_ratio, psi_cpu_some_ratio; /* NaN unknown */
	uint64_t involuntary_switches;
	int throttled; /* tristate */
};
void noise_open(struct noise_gauge *g, const char *root);
/* Noisy when other processes took more than 10 % of the CPUs, steal more than 2 %, or the CPU was throttled. Judges by
 * ticks of others (busy minus our own process tree), not by PSI, which includes the benchmark itself. "unknown" where
 * /proc/stat cannot be read or fewer than 20 ticks passed (a tick is 10 ms of one CPU). */
void noise_close(const struct noise_gauge *g, const char *root, struct noise *out);
