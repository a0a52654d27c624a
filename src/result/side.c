#include "result/side.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "result/load.h"

static void file_done(struct side_file *f)
{
	free(f->name);
	free(f->run_id);
	free(f->subcommand);
	free(f->status);
	free(f->fingerprint);
	free(f->started_at);
	free(f->commit);
	free(f->session);
	free(f->attempt);
	free(f->noise);
	json_decref(f->what);
	json_decref(f->how);
}

static void case_done(struct side_case *c)
{
	for (size_t i = 0; i < c->n_metrics; i++) {
		free(c->metric[i].name);
		free(c->metric[i].unit);
		free(c->metric[i].values);
	}
	free(c->metric);
	free(c->name);
	free(c->target);
	free(c->params);
	free(c->headline);
	free(c->key);
	free(c->run);
	json_decref(c->index);
}

void side_done(struct side *s)
{
	for (size_t i = 0; i < s->n_files; i++)
		file_done(&s->file[i]);
	for (size_t i = 0; i < s->n_cases; i++)
		case_done(&s->cases[i]);
	free(s->file);
	free(s->cases);
	json_decref(s->index);
	*s = (struct side){ 0 };
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_t *copy_of(const json_t *value)
{
	return value ? json_deep_copy(value) : json_object();
}

static int join_reasons(const json_t *noise, char **out, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	const json_t *reason;
	size_t i;

	json_array_foreach(json_object_get(noise, "reasons"), i, reason)
		buf_addf(&b, "%s%s", i ? "; " : "", json_string_value(reason));
	if (b.failed)
		return err_nomem(e);
	*out = strdup(buf_text(&b));
	return *out ? 0 : err_nomem(e);
}

static int file_fill(struct side_file *f, const char *name, const json_t *root, struct err *e)
{
	const json_t *environment = json_object_get(root, "environment");
	const json_t *noise = json_object_get(root, "noise");
	const json_t *config = json_object_get(root, "config");
	const char *session = text_of(
		json_object_get(json_object_get(root, "extensions"), "interleaved"), "session");

	f->name = strdup(name);
	f->run_id = strdup(text_of(root, "run_id"));
	f->subcommand = strdup(text_of(json_object_get(root, "command"), "subcommand"));
	f->status = strdup(text_of(root, "status"));
	f->started_at = strdup(text_of(root, "started_at"));
	f->commit = strdup(text_of(json_object_get(root, "vcs"), "commit"));
	f->fingerprint = strdup(text_of(environment, "fingerprint"));
	f->attempt = strdup(text_of(json_object_get(environment, "ci"), "attempt"));
	f->noisy = strcmp(text_of(noise, "verdict"), "noisy") == 0;
	f->what = copy_of(json_object_get(config, "what"));
	f->how = copy_of(json_object_get(config, "how"));
	if (*session) {
		f->session = strdup(session);
		if (!f->session)
			return err_nomem(e);
	}
	if (!f->name || !f->run_id || !f->subcommand || !f->status || !f->started_at ||
	    !f->commit || !f->fingerprint || !f->attempt || !f->what || !f->how)
		return err_nomem(e);
	return join_reasons(noise, &f->noise, e);
}

static struct side_file *add_file(struct side *s, const char *name, const json_t *root,
				  struct err *e)
{
	struct side_file *grown = reallocarray(s->file, s->n_files + 1, sizeof(*grown));
	struct side_file *f;

	if (!grown) {
		err_nomem(e);
		return NULL;
	}
	s->file = grown;
	f = &grown[s->n_files++];
	*f = (struct side_file){ 0 };
	if (file_fill(f, name, root, e) < 0)
		return NULL;
	for (size_t i = 0; i + 1 < s->n_files; i++)
		if (strcmp(s->file[i].run_id, f->run_id) == 0) {
			err_set(e, ERR_USAGE, "twice",
				"%s and %s are the same measurement (run_id %.12s): it would count twice",
				s->file[i].name, name, f->run_id);
			return NULL;
		}
	return f;
}

/* "key=value key=value", sorted by key. */
static int params_text(const json_t *params, char **out, struct err *e)
{
	CLEANUP_FREE char *sorted = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
	CLEANUP(json_decref) json_t *ordered = sorted ? json_loads(sorted, 0, NULL) : NULL;
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	const char *key;
	json_t *value;

	if (!ordered)
		return err_nomem(e);
	json_object_foreach(ordered, key, value)
	{
		CLEANUP_FREE char *text =
			json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));

		if (!text)
			return err_nomem(e);
		buf_addf(&b, "%s%s=%s", b.len ? " " : "", key,
			 json_is_string(value) ? json_string_value(value) : text);
	}
	if (b.failed)
		return err_nomem(e);
	*out = strdup(buf_text(&b));
	return *out ? 0 : err_nomem(e);
}

static int case_key(bool by_name, const char *name, const char *target, const char *params,
		    unsigned nth, struct buf *key, struct err *e)
{
	if (by_name)
		buf_addf(key, "%s\x1f%u", name, nth);
	else
		buf_addf(key, "%s\x1f%s\x1f%s", name, target, params);
	return key->failed ? err_nomem(e) : 0;
}

static struct side_case *new_case(struct side *s, const json_t *benchmark, char **params,
				  const char *key, struct err *e)
{
	struct side_case *grown = reallocarray(s->cases, s->n_cases + 1, sizeof(*grown));
	struct side_case *c;

	if (!grown) {
		err_nomem(e);
		return NULL;
	}
	s->cases = grown;
	c = &grown[s->n_cases++];
	*c = (struct side_case){ .params = TAKE(*params) };
	c->name = strdup(text_of(benchmark, "name"));
	c->target = strdup(text_of(benchmark, "target"));
	c->headline = strdup(text_of(benchmark, "headline"));
	c->index = json_object();
	c->key = strdup(key);
	if (!c->name || !c->target || !c->headline || !c->key || !c->index) {
		err_nomem(e);
		return NULL;
	}
	return json_put(s->index, key, json_integer((json_int_t)s->n_cases - 1), e) < 0 ? NULL : c;
}

static struct side_case *find_or_add(struct side *s, const json_t *benchmark, unsigned nth,
				     struct err *e)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT;
	CLEANUP_FREE char *params = NULL;
	const json_t *at;

	if (params_text(json_object_get(benchmark, "params"), &params, e) < 0 ||
	    case_key(s->by_name, text_of(benchmark, "name"), text_of(benchmark, "target"), params,
		     nth, &key, e) < 0)
		return NULL;
	at = json_object_get(s->index, buf_text(&key));
	if (at)
		return &s->cases[json_integer_value(at)];
	return new_case(s, benchmark, &params, buf_text(&key), e);
}

static int add_runs(struct side_case *c, const json_t *runs, const struct side_file *f,
		    struct err *e)
{
	size_t n = c->n_runs + json_array_size(runs), i;
	struct side_run *grown = reallocarray(c->run, n ? n : 1, sizeof(*grown));
	const json_t *run;

	if (!grown)
		return err_nomem(e);
	c->run = grown;
	json_array_foreach(runs, i, run)
	{
		const json_t *pair = json_object_get(run, "pair");

		c->run[c->n_runs + i] = (struct side_run){
			.session = json_is_integer(pair) ? f->session : NULL,
			.pair = json_is_integer(pair) ? json_integer_value(pair) : -1,
		};
		c->ok += (uint64_t)json_integer_value(json_object_get(run, "ok"));
		c->failed += (uint64_t)json_integer_value(json_object_get(run, "failed"));
	}
	return 0;
}

static enum better better_of(const json_t *metric)
{
	const char *word = text_of(metric, "better");

	return strcmp(word, "lower") == 0    ? BETTER_LOWER
	       : strcmp(word, "higher") == 0 ? BETTER_HIGHER
					     : BETTER_NONE;
}

static struct side_metric *new_metric(struct side_case *c, const char *name, const json_t *metric,
				      struct err *e)
{
	struct side_metric *grown = reallocarray(c->metric, c->n_metrics + 1, sizeof(*grown));
	struct side_metric *m;

	if (!grown) {
		err_nomem(e);
		return NULL;
	}
	c->metric = grown;
	m = &grown[c->n_metrics++];
	*m = (struct side_metric){ .better = better_of(metric), .exact = true };
	m->name = strdup(name);
	m->unit = strdup(text_of(metric, "unit"));
	if (!m->name || !m->unit) {
		err_nomem(e);
		return NULL;
	}
	return json_put(c->index, name, json_integer((json_int_t)c->n_metrics - 1), e) < 0 ? NULL
											   : m;
}

static int check_same(const struct side_metric *m, const struct side_case *c, const json_t *metric,
		      const char *file, struct err *e)
{
	if (strcmp(m->unit, text_of(metric, "unit")) != 0 || m->better != better_of(metric))
		return err_set(
			e, ERR_USAGE, "unlike",
			"%s: %s %s is in %s here, in %s in the other file: they cannot be pooled",
			file, c->name, m->name, text_of(metric, "unit"), m->unit);
	return 0;
}

/* The runs before this file are n_before; a metric that is new here has none of them. */
static int add_metric(struct side_case *c, const char *name, const json_t *metric, size_t n_before,
		      const char *file, struct err *e)
{
	const json_t *at = json_object_get(c->index, name);
	const json_t *values = json_object_get(metric, "values"), *value;
	struct side_metric *m =
		at ? &c->metric[json_integer_value(at)] : new_metric(c, name, metric, e);
	double *grown;
	size_t i;

	if (!m || (at && check_same(m, c, metric, file, e) < 0))
		return -1;
	grown = reallocarray(m->values, c->n_runs ? c->n_runs : 1, sizeof(*grown));
	if (!grown)
		return err_nomem(e);
	for (i = at ? n_before : 0; i < c->n_runs; i++)
		grown[i] = (double)NAN;
	m->values = grown;
	m->exact = m->exact && strcmp(text_of(metric, "assume"), "exact") == 0;
	json_array_foreach(values, i, value) if (json_is_number(value)) grown[n_before + i] =
		json_number_value(value);
	return 0;
}

/* Metrics of earlier files that this one lacks: no values for its runs. */
static int fill_up(struct side_case *c, const json_t *metrics, size_t n_before, struct err *e)
{
	for (size_t i = 0; i < c->n_metrics; i++) {
		struct side_metric *m = &c->metric[i];
		double *grown;

		if (json_object_get(metrics, m->name))
			continue;
		grown = reallocarray(m->values, c->n_runs ? c->n_runs : 1, sizeof(*grown));
		if (!grown)
			return err_nomem(e);
		for (size_t k = n_before; k < c->n_runs; k++)
			grown[k] = (double)NAN;
		m->values = grown;
	}
	return 0;
}

static int add_case(struct side *s, const json_t *benchmark, unsigned nth,
		    const struct side_file *f, struct err *e)
{
	struct side_case *c = find_or_add(s, benchmark, nth, e);
	json_t *metrics = json_object_get(benchmark, "metrics"), *metric;
	const char *name;
	size_t n_before;

	if (!c)
		return -1;
	n_before = c->n_runs;
	if (add_runs(c, json_object_get(benchmark, "runs"), f, e) < 0)
		return -1;
	c->n_runs += json_array_size(json_object_get(benchmark, "runs"));
	json_object_foreach(metrics, name, metric)
	{
		if (add_metric(c, name, metric, n_before, f->name, e) < 0)
			return -1;
	}
	return fill_up(c, metrics, n_before, e);
}

/* How many benchmarks of that name stand before this one in the file. */
static int count_name(json_t *seen, const char *name, unsigned *nth, struct err *e)
{
	json_int_t n = json_integer_value(json_object_get(seen, name));

	*nth = (unsigned)n;
	return json_put(seen, name, json_integer(n + 1), e);
}

int side_add(struct side *s, const char *name, const json_t *root, struct err *e)
{
	CLEANUP(json_decref) json_t *seen = json_object();
	const json_t *benchmarks = json_object_get(root, "benchmarks"), *benchmark;
	const struct side_file *f;
	size_t i;

	if (!s->index)
		s->index = json_object();
	if (!s->index || !seen)
		return err_nomem(e);
	f = add_file(s, name, root, e);
	if (!f)
		return -1;
	json_array_foreach(benchmarks, i, benchmark)
	{
		unsigned nth = 0;

		if (count_name(seen, text_of(benchmark, "name"), &nth, e) < 0 ||
		    add_case(s, benchmark, nth, f, e) < 0)
			return -1;
	}
	return 0;
}

int side_load(struct side *s, const char *path, struct err *e)
{
	CLEANUP(json_decref) json_t *root = NULL;

	return load_result(path, &root, e) < 0 ? -1 : side_add(s, path, root, e);
}

const struct side_metric *side_metric_find(const struct side_case *c, const char *name)
{
	const json_t *at = json_object_get(c->index, name);

	return at ? &c->metric[json_integer_value(at)] : NULL;
}

const struct side_case *side_case_find(const struct side *s, const struct side_case *c)
{
	const json_t *at = json_object_get(s->index, c->key);

	return at ? &s->cases[json_integer_value(at)] : NULL;
}
