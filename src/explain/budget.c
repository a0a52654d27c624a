#include "explain/budget.h"

#include <math.h>
#include <string.h>

#include "result/view.h"

/* The phase's name in a metric "phase.NAME.median", its length; NULL for other metrics and phases without a value. */
static const char *phase_of(const char *key, json_t *metric, size_t *len, double *ns)
{
	static const char prefix[] = "phase.", suffix[] = ".median";
	size_t all = strlen(key);

	if (all <= strlen(prefix) + strlen(suffix) || strncmp(key, prefix, strlen(prefix)) != 0 ||
	    strcmp(key + all - strlen(suffix), suffix) != 0)
		return NULL;
	*ns = view_number(json_object_get(metric, "summary"), "median");
	*len = all - strlen(prefix) - strlen(suffix);
	return isnan(*ns) ? NULL : key + strlen(prefix);
}

static int add_phases(json_t *phases, json_t *metrics, struct err *e)
{
	double sum = 0, ns = 0;
	const char *key, *name;
	json_t *metric;
	size_t len;

	json_object_foreach(metrics, key, metric) sum += phase_of(key, metric, &len, &ns) ? ns : 0;
	json_object_foreach(metrics, key, metric)
	{
		json_t *phase;

		name = phase_of(key, metric, &len, &ns);
		if (!name)
			continue;
		phase = json_push_object(phases, e);
		if (!phase || json_put(phase, "name", json_stringn(name, len), e) < 0 ||
		    json_put(phase, "ns", json_number(ns), e) < 0 ||
		    json_put(phase, "percent", json_number(sum > 0 ? 100 * ns / sum : (double)NAN),
			     e) < 0)
			return -1;
	}
	return 0;
}

/* One target's budget, left out when no phase has a value. */
static int add_target(json_t *all, const json_t *benchmark, struct err *e)
{
	CLEANUP(json_decref) json_t *phases = json_array();
	json_t *one;

	if (!phases)
		return err_nomem(e);
	if (add_phases(phases, json_object_get(benchmark, "metrics"), e) < 0)
		return -1;
	if (json_array_size(phases) == 0)
		return 0;
	one = json_push_object(all, e);
	if (!one || json_put(one, "target", json_string(view_text(benchmark, "target")), e) < 0)
		return -1;
	return json_put(one, "phases", TAKE(phases), e);
}

int budget_add(struct document *d, const char *name, struct err *e)
{
	CLEANUP(json_decref) json_t *all = json_array();
	const json_t *benchmarks = json_object_get(d->root, "benchmarks");

	if (!all)
		return err_nomem(e);
	for (size_t i = 0; i < json_array_size(benchmarks); i++) {
		const json_t *b = json_array_get(benchmarks, i);

		if (strcmp(view_text(b, "name"), name) == 0 && add_target(all, b, e) < 0)
			return -1;
	}
	return json_array_size(all) ? document_add_extension(d, "phase_budget", TAKE(all), e) : 0;
}
