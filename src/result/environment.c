#include "result/environment.h"

#include <string.h>

static int add_cpu(json_t *env, const struct host *h, struct err *e)
{
	json_t *cpu = json_put_object(env, "cpu", e);

	if (!cpu || json_put(cpu, "model", json_known_text(h->cpu_model), e) < 0 ||
	    json_put(cpu, "logical", json_u64(h->cpus_logical), e) < 0 ||
	    json_put(cpu, "physical", h->cpus_physical ? json_u64(h->cpus_physical) : json_null(),
		     e) < 0 ||
	    json_put(cpu, "smt", json_tristate(h->smt), e) < 0 ||
	    json_put(cpu, "governor", json_known_text(h->governor), e) < 0 ||
	    json_put(cpu, "driver", json_known_text(h->driver), e) < 0 ||
	    json_put(cpu, "turbo", json_tristate(h->turbo), e) < 0 ||
	    json_put(cpu, "max_khz", h->max_khz ? json_u64(h->max_khz) : json_null(), e) < 0 ||
	    json_put(cpu, "affinity", json_known_text(h->affinity), e) < 0)
		return -1;
	return 0;
}

static int add_clock(json_t *env, const struct clock_cost *c, struct err *e)
{
	json_t *clock = json_put_object(env, "clock", e);

	if (!clock || json_put(clock, "id", json_string("CLOCK_MONOTONIC"), e) < 0 ||
	    json_put(clock, "source", json_known_text(c->source), e) < 0 ||
	    json_put(clock, "resolution_ns", json_u64(c->resolution_ns), e) < 0 ||
	    json_put(clock, "overhead_ns_p50", json_u64(c->overhead_ns_p50), e) < 0)
		return -1;
	return 0;
}

static int add_ci(json_t *env, const struct host *h, struct err *e)
{
	json_t *ci;

	if (!h->ci)
		return json_put(env, "ci", json_null(), e);
	ci = json_put_object(env, "ci", e);
	if (!ci || json_put(ci, "name", json_known_text(h->ci_name), e) < 0 ||
	    json_put(ci, "attempt", json_known_text(h->ci_attempt), e) < 0)
		return -1;
	return 0;
}

json_t *environment_make(const struct host *h, struct err *e)
{
	CLEANUP(json_decref) json_t *env = json_object();

	if (!env) {
		err_nomem(e);
		return NULL;
	}
	if (*h->host_name && json_put(env, "host", json_outside_text(h->host_name), e) < 0)
		return NULL;
	if (json_put(env, "os", json_known_text(h->os), e) < 0 ||
	    json_put(env, "kernel", json_outside_text(h->kernel), e) < 0 ||
	    json_put(env, "arch", json_known_text(h->arch), e) < 0 ||
	    json_put(env, "virt", json_known_text(h->virt), e) < 0 ||
	    json_put(env, "container", json_tristate(h->container), e) < 0 ||
	    add_cpu(env, h, e) < 0 ||
	    json_put(env, "memory_bytes", json_u64(h->memory_bytes), e) < 0 ||
	    json_put(env, "nofile_limit", json_u64(h->nofile_limit), e) < 0 ||
	    json_put(env, "aslr", json_tristate(h->aslr), e) < 0 ||
	    add_clock(env, &h->clock, e) < 0 ||
	    json_put(env, "boot_id", json_known_text(h->boot_id), e) < 0 ||
	    json_put(env, "fingerprint", json_outside_text(h->fingerprint), e) < 0 ||
	    add_ci(env, h, e) < 0)
		return NULL;
	return TAKE(env);
}

json_t *noise_make(const struct noise *n, struct err *e)
{
	CLEANUP(json_decref) json_t *noise = json_object();
	json_t *reasons;

	if (!noise) {
		err_nomem(e);
		return NULL;
	}
	if (json_put(noise, "verdict", json_string(n->verdict), e) < 0)
		return NULL;
	reasons = json_put_array(noise, "reasons", e);
	if (!reasons)
		return NULL;
	for (unsigned i = 0; i < n->n_reasons; i++)
		if (json_push(reasons, json_outside_text(n->reasons[i]), e) < 0)
			return NULL;
	if (json_put(noise, "steal_ratio", json_number(n->steal_ratio), e) < 0 ||
	    json_put(noise, "other_cpu_ratio", json_number(n->other_cpu_ratio), e) < 0 ||
	    json_put(noise, "psi_cpu_some_ratio", json_number(n->psi_cpu_some_ratio), e) < 0 ||
	    json_put(noise, "involuntary_switches", json_u64(n->involuntary_switches), e) < 0 ||
	    json_put(noise, "throttled", json_tristate(n->throttled), e) < 0)
		return NULL;
	return TAKE(noise);
}

static const char *first_variable(char *(*variable)(const char *name), const char *const *names)
{
	for (; variable && *names; names++) {
		const char *value = variable(*names);

		if (value && *value)
			return value;
	}
	return NULL;
}

json_t *vcs_make(const char *commit, char *(*variable)(const char *name), struct err *e)
{
	static const char *const commits[] = { "GITHUB_SHA",	      "CI_COMMIT_SHA",
					       "GIT_COMMIT",	      "TRAVIS_COMMIT",
					       "CIRCLE_SHA1",	      "BUILDKITE_COMMIT",
					       "BUILD_SOURCEVERSION", NULL };
	static const char *const branches[] = {
		"GITHUB_HEAD_REF",  "GITHUB_REF_NAME",	      "CI_COMMIT_REF_NAME",
		"GIT_BRANCH",	    "TRAVIS_BRANCH",	      "CIRCLE_BRANCH",
		"BUILDKITE_BRANCH", "BUILD_SOURCEBRANCHNAME", NULL
	};
	CLEANUP(json_decref) json_t *vcs = json_object();
	const char *from_ci = commit && *commit ? commit : first_variable(variable, commits);
	const char *branch = first_variable(variable, branches);

	if (!vcs) {
		err_nomem(e);
		return NULL;
	}
	if (from_ci && json_put(vcs, "commit", json_outside_text(from_ci), e) < 0)
		return NULL;
	if (branch && json_put(vcs, "branch", json_outside_text(branch), e) < 0)
		return NULL;
	return TAKE(vcs);
}
