#include "picture/study.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture/svg.h"
#include "result/view.h"

static void case_done(struct study_case *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->arm[i].label);
	free(c->title);
	free(c->params_text);
}

void study_done(struct study *s)
{
	for (size_t i = 0; i < s->n_cases; i++)
		case_done(&s->cases[i]);
	free(s->cases);
	for (size_t i = 0; i < s->n_files; i++) {
		report_done(&s->file[i].report);
		side_done(&s->file[i].side);
		json_decref(s->file[i].root);
		free(s->file[i].name);
		free(s->file[i].label);
	}
	*s = (struct study){ 0 };
}

static char *take_text(struct buf *b, struct err *e)
{
	char *text = NULL;

	if (!b->failed && buf_reserve(b, 1) == 0) {
		b->data[b->len] = '\0';
		text = buf_take(b);
	}
	if (!text)
		err_nomem(e);
	return text;
}

/* "A base" of "results/base.json". */
static char *file_label(const char *path, size_t index, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	const char *slash = strrchr(path, '/'), *name = slash && slash[1] ? slash + 1 : path;
	const char *dot = strrchr(name, '.');
	size_t len = dot && dot > name ? (size_t)(dot - name) : strlen(name);

	buf_addf(&b, "%c ", (char)('A' + (int)index));
	buf_add_utf8(&b, name, len);
	return take_text(&b, e);
}

static int add_file(struct study *s, const char *name, json_t *root, const struct diff_rules *rules,
		    struct err *e)
{
	struct study_file *f = &s->file[s->n_files++];

	*f = (struct study_file){ .root = json_incref(root) };
	f->name = strdup(name);
	f->label = file_label(name, s->n_files - 1, e);
	if (!f->name)
		return err_nomem(e);
	if (!f->label || side_add(&f->side, name, root, e) < 0)
		return -1;
	s->several_targets =
		s->several_targets || json_array_size(json_object_get(root, "targets")) > 1;
	if (s->n_files == 1)
		return 0;
	return diff_make(&s->file[0].side, &f->side, rules, &f->report, e);
}

/* --- cases ------------------------------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_value(struct buf *b, const json_t *value)
{
	CLEANUP_FREE char *text = NULL;

	if (json_is_string(value)) {
		buf_adds(b, json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
	b->failed = b->failed || !text;
	buf_adds(b, text ? text : "");
}

/* Parameters with their keys in order, as a side writes them. */
static char *params_text(const json_t *benchmark, struct err *e)
{
	json_t *params = json_object_get(benchmark, "params");
	size_t n = json_object_size(params), i = 0;
	CLEANUP_FREE const char **keys = calloc(n + 1, sizeof(*keys));
	CLEANUP(buf_done) struct buf b = BUF_INIT;
	const char *key;
	json_t *value;

	if (!keys) {
		err_nomem(e);
		return NULL;
	}
	json_object_foreach(params, key, value) keys[i++] = key;
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (i = 0; i < n; i++) {
		buf_addf(&b, "%s%s=", i ? " " : "", keys[i]);
		add_value(&b, json_object_get(params, keys[i]));
	}
	return take_text(&b, e);
}

/* Name and parameters: also what a case is found by. */
static char *case_title(const json_t *benchmark, const char *params, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	buf_addf(&b, "%s%s%s", view_text(benchmark, "name"), *params ? " " : "", params);
	return take_text(&b, e);
}

static enum better better_of(const char *word)
{
	return strcmp(word, "lower") == 0    ? BETTER_LOWER
	       : strcmp(word, "higher") == 0 ? BETTER_HIGHER
					     : BETTER_NONE;
}

/* What the case is about: its headline where it has such a metric, else its first metric. */
static void set_headline(struct study_case *c, const json_t *benchmark)
{
	json_t *metrics = json_object_get(benchmark, "metrics");
	const char *name = view_text(benchmark, "headline");

	if (!json_object_get(metrics, name))
		name = json_object_iter_key(json_object_iter(metrics));
	c->headline = name ? name : "";
	c->unit = view_text(json_object_get(metrics, c->headline), "unit");
	c->better = better_of(view_text(json_object_get(metrics, c->headline), "better"));
}

/* The distributions of the first run that has any. */
static void set_distribution(struct study_case *c, const json_t *benchmark)
{
	const json_t *runs = json_object_get(benchmark, "runs"), *run;
	size_t i;

	json_array_foreach(runs, i, run)
	{
		json_t *all = json_object_get(run, "distributions");
		const char *first = json_object_iter_key(json_object_iter(all));

		if (!first)
			continue;
		c->distribution = json_object_get(all, "latency") ? "latency" : first;
		return;
	}
}

static void new_case(struct study *s, const json_t *benchmark, char **title, char **params)
{
	struct study_case *c = &s->cases[s->n_cases++];

	*c = (struct study_case){ .name = view_text(benchmark, "name"),
				  .title = TAKE(*title),
				  .params_text = TAKE(*params),
				  .params = json_object_get(benchmark, "params") };
	set_headline(c, benchmark);
	set_distribution(c, benchmark);
}

static char *arm_label(const struct study *s, size_t file, const char *target, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	if (s->n_files > 1 && s->several_targets)
		buf_addf(&b, "%c %s", (char)('A' + (int)file), target);
	else
		buf_adds(&b, s->n_files > 1 ? s->file[file].label : target);
	return take_text(&b, e);
}

static int add_arm(struct study *s, struct study_case *c, size_t file, const json_t *benchmark,
		   struct err *e)
{
	struct arm *a = &c->arm[c->n];

	if (c->n == STUDY_ARMS_MAX) {
		c->left_out++;
		return 0;
	}
	*a = (struct arm){ .file = file,
			   .benchmark = benchmark,
			   .target = view_text(benchmark, "target"),
			   .color = (unsigned)c->n };
	a->label = arm_label(s, file, a->target, e);
	if (!a->label)
		return -1;
	c->n++;
	if (!c->distribution)
		set_distribution(c, benchmark);
	return 0;
}

static int add_benchmark(struct study *s, json_t *index, size_t file, const json_t *benchmark,
			 struct err *e)
{
	CLEANUP_FREE char *params = params_text(benchmark, e);
	CLEANUP_FREE char *title = params ? case_title(benchmark, params, e) : NULL;
	CLEANUP_FREE char *key = NULL;
	const json_t *found;

	if (!title)
		return -1;
	found = json_object_get(index, title);
	if (found)
		return add_arm(s, &s->cases[json_integer_value(found)], file, benchmark, e);
	if (s->n_cases == STUDY_CASES_MAX) {
		s->left_out++;
		return 0;
	}
	key = strdup(title);
	if (!key)
		return err_nomem(e);
	new_case(s, benchmark, &title, &params);
	if (json_put(index, key, json_integer((json_int_t)s->n_cases - 1), e) < 0)
		return -1;
	return add_arm(s, &s->cases[s->n_cases - 1], file, benchmark, e);
}

static int add_cases(struct study *s, struct err *e)
{
	CLEANUP(json_decref) json_t *index = json_object();

	s->cases = calloc(STUDY_CASES_MAX, sizeof(*s->cases));
	if (!index || !s->cases)
		return err_nomem(e);
	for (size_t f = 0; f < s->n_files; f++) {
		const json_t *b;
		size_t i;

		json_array_foreach(json_object_get(s->file[f].root, "benchmarks"), i, b)
		{
			if (add_benchmark(s, index, f, b, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* --- contrasts --------------------------------------------------------------------------------------------------- */

static const struct arm *arm_of(const struct study_case *c, size_t file, const char *target)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->arm[i].file == file && strcmp(c->arm[i].target, target) == 0)
			return &c->arm[i];
	return NULL;
}

static double bound(const json_t *comparison, size_t which)
{
	const json_t *v = json_array_get(json_object_get(comparison, "ci"), which);

	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

/* Two targets of one file: what the measurement itself compared. */
static void contrast_targets(const struct study *s, struct study_case *c, struct arm *a)
{
	const json_t *x;
	size_t i;

	json_array_foreach(json_object_get(s->file[a->file].root, "comparisons"), i, x)
	{
		if (strcmp(view_text(x, "new"), a->target) != 0 ||
		    strcmp(view_text(x, "metric"), c->headline) != 0 ||
		    strcmp(view_text(x, "benchmark"), c->name) != 0 ||
		    !json_equal(json_object_get(x, "params"), c->params))
			continue;
		a->contrast = (struct contrast){
			.ratio = view_number(x, "ratio"),
			.lo = bound(x, 0),
			.hi = bound(x, 1),
			.p = view_number(x, "p"),
			.threshold = DIFF_THRESHOLD,
			.exact = strcmp(view_text(x, "method"), "exact") == 0,
			.base = arm_of(c, a->file, view_text(x, "base")),
		};
		a->contrast.known = a->contrast.base != NULL;
		return;
	}
}

static void contrast_files(const struct study *s, struct study_case *c, struct arm *a)
{
	const struct report *r = &s->file[a->file].report;

	for (size_t i = 0; i < r->n; i++) {
		const struct report_row *row = &r->row[i];

		if (strcmp(row->metric, c->headline) != 0 || strcmp(row->benchmark, c->name) != 0 ||
		    strcmp(row->target, a->target) != 0 || strcmp(row->params, c->params_text) != 0)
			continue;
		a->contrast = (struct contrast){
			.ratio = row->estimate.ratio,
			.lo = row->estimate.lo,
			.hi = row->estimate.hi,
			.p = row->p,
			.verdict = row->verdict,
			.threshold = row->threshold,
			.exact = row->exact,
			.base = arm_of(c, 0, a->target),
		};
		a->contrast.known = a->contrast.base != NULL;
		return;
	}
}

static void add_contrasts(struct study *s)
{
	for (size_t i = 0; i < s->n_cases; i++)
		for (size_t k = 0; k < s->cases[i].n; k++) {
			struct arm *a = &s->cases[i].arm[k];

			if (a->file > 0)
				contrast_files(s, &s->cases[i], a);
			else if (k > 0)
				contrast_targets(s, &s->cases[i], a);
		}
}

int study_make(struct study *s, const char *const *names, json_t *const *roots, size_t n,
	       const struct diff_rules *rules, struct err *e)
{
	*s = (struct study){ 0 };
	if (n == 0 || n > STUDY_FILES_MAX)
		return err_set(e, ERR_USAGE, "operand", "%zu files: a report takes 1 to %d", n,
			       STUDY_FILES_MAX);
	for (size_t i = 0; i < n; i++)
		if (add_file(s, names[i], roots[i], rules, e) < 0)
			return -1;
	if (add_cases(s, e) < 0)
		return -1;
	add_contrasts(s);
	return 0;
}

/* --- questions --------------------------------------------------------------------------------------------------- */

size_t study_drawn(const struct study_case *c)
{
	return c->n < SVG_COLORS ? c->n : SVG_COLORS;
}

size_t study_values(const struct study_case *c, const struct arm *a, double *out, size_t max)
{
	size_t n = view_values(a->benchmark, c->headline, out, max);

	return n < max ? n : max;
}

static const json_t *pooled(const struct study_case *c, const struct arm *a)
{
	return c->distribution
		       ? json_object_get(json_object_get(a->benchmark, "pooled"), c->distribution)
		       : NULL;
}

double study_moment(const struct study_case *c, const struct arm *a, const char *key)
{
	return view_number(pooled(c, a), key);
}

double study_percentile(const struct study_case *c, const struct arm *a, const char *key)
{
	return view_number(json_object_get(pooled(c, a), "percentiles"), key);
}

const char *study_unit(const struct study_case *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const json_t *runs = json_object_get(c->arm[i].benchmark, "runs"), *run;
		size_t k;

		json_array_foreach(runs, k, run)
		{
			const json_t *d =
				c->distribution
					? json_object_get(json_object_get(run, "distributions"),
							  c->distribution)
					: NULL;

			if (d)
				return view_text(d, "unit");
		}
	}
	return "";
}

bool study_latency(const struct study_case *c)
{
	return c->distribution && strcmp(c->distribution, "latency") == 0;
}
