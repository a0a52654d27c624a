#include "result/diff-files.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

static bool is_allowed(const struct diff_rules *rules, const char *key)
{
	for (size_t i = 0; rules->allow && i < rules->allow->n; i++)
		if (fnmatch(rules->allow->v[i], key, 0) == 0)
			return true;
	return false;
}

/* A value of the configuration in few words. */
static char *shown(const json_t *value)
{
	CLEANUP_FREE char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	if (!value)
		return strdup("absent");
	if (!text)
		return NULL;
	if (strlen(text) > 60)
		memcpy(text + 57, "...", 4);
	buf_add_safe(&b, text, strlen(text));
	return b.failed ? NULL : buf_take(&b);
}

/* Calls for every key in which the objects differ, those of the base first; stops at the first non-zero return. */
typedef int unlike_key(void *ctx, const char *key, const json_t *a, const json_t *b);

static int each_unlike(json_t *a, json_t *b, unlike_key *call, void *ctx)
{
	const char *key;
	json_t *value;
	int rc = 0;

	json_object_foreach(a, key, value)
	{
		const json_t *other = json_object_get(b, key);

		/* A key that a later version has come to know, at its "not given". */
		if (rc == 0 && !json_equal(value, other) && (other || !json_is_null(value)))
			rc = call(ctx, key, value, other);
	}
	json_object_foreach(b, key, value)
	{
		if (rc == 0 && !json_object_get(a, key) && !json_is_null(value))
			rc = call(ctx, key, NULL, value);
	}
	return rc;
}

struct refusal {
	const struct diff_rules *rules;
	const struct side_file *a, *b;
	struct err *e;
};

static int refuse(void *ctx, const char *key, const json_t *x, const json_t *y)
{
	const struct refusal *r = ctx;
	CLEANUP_FREE char *old = shown(x);
	CLEANUP_FREE char *new = shown(y);

	if (is_allowed(r->rules, key))
		return 0;
	if (!old || !new)
		return err_nomem(r->e);
	return err_set(
		r->e, ERR_USAGE, "unlike",
		"not the same measurement: %s is %s in %s, %s in %s (mpbench diff --allow %s compares all the same)",
		key, old, r->a->name, new, r->b->name, key);
}

static int check_like(const struct side_file *a, const struct side_file *b,
		      const struct diff_rules *rules, struct err *e)
{
	struct refusal r = { rules, a, b, e };

	if (strcmp(a->subcommand, b->subcommand) != 0 && !is_allowed(rules, "subcommand"))
		return err_set(e, ERR_USAGE, "unlike",
			       "not the same measurement: %s is of %s, %s of %s", a->name,
			       a->subcommand, b->name, b->subcommand);
	return each_unlike(a->what, b->what, refuse, &r);
}

int diff_comparable(const struct side *base, const struct side *new, const struct diff_rules *rules,
		    struct err *e)
{
	for (size_t i = 1; i < base->n_files; i++)
		if (check_like(&base->file[0], &base->file[i], rules, e) < 0)
			return -1;
	for (size_t i = 0; i < new->n_files; i++)
		if (check_like(&base->file[0], &new->file[i], rules, e) < 0)
			return -1;
	return 0;
}

static int add_key(void *ctx, const char *key, const json_t *x, const json_t *y)
{
	CLEANUP_FREE char *old = shown(x);
	CLEANUP_FREE char *new = shown(y);
	struct buf *out = ctx;

	if (!old || !new)
		out->failed = true;
	buf_addf(out, "%s %s -> %s\n", key, old ? old : "", new ? new : "");
	return 0;
}

int diff_what(const struct side *base, const struct side *new, struct buf *out)
{
	each_unlike(base->file[0].what, new->file[0].what, add_key, out);
	return out->failed ? -1 : 0;
}

struct noting {
	struct report *report;
	const struct side_file *a, *b;
	struct err *e;
};

static int note_how(void *ctx, const char *key, const json_t *x, const json_t *y)
{
	struct noting *n = ctx;
	CLEANUP_FREE char *old = shown(x);
	CLEANUP_FREE char *new = shown(y);

	if (!old || !new)
		return err_nomem(n->e);
	return report_note(n->report, n->e, "how", "%s was %s in %s, is %s in %s", key, old,
			   n->a->name, new, n->b->name);
}

static int note_file(struct report *r, const struct side_file *f, struct err *e)
{
	if (strcmp(f->status, "complete") != 0 &&
	    report_note(r, e, f->status, "%s is of a measurement that was %s", f->name,
			strcmp(f->status, "failed") == 0 ? "a failure" : f->status) < 0)
		return -1;
	if (*f->attempt && strcmp(f->attempt, "1") != 0 &&
	    report_note(
		    r, e, "attempt",
		    "%s is from attempt %s of its CI job: repeating until it passes is no evidence",
		    f->name, f->attempt) < 0)
		return -1;
	return 0;
}

/* One note for all files of a side. */
static int note_noise(struct report *r, const struct side *s, struct err *e)
{
	const struct side_file *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n_files; i++) {
		n += s->file[i].noisy;
		first = !first && s->file[i].noisy ? &s->file[i] : first;
	}
	if (!first)
		return 0;
	r->noisy = true;
	if (s->n_files == 1)
		return report_note(r, e, "noisy", "%s was measured on a noisy machine: %s",
				   first->name, first->noise);
	return report_note(r, e, "noisy",
			   "%zu of %zu results of a side were measured on a noisy machine: %s (%s)",
			   n, s->n_files, first->noise, first->name);
}

static const struct side_file *other_machine(const struct side *base, const struct side *new)
{
	const char *first = base->file[0].fingerprint;

	for (size_t i = 1; i < base->n_files; i++)
		if (strcmp(base->file[i].fingerprint, first) != 0)
			return &base->file[i];
	for (size_t i = 0; i < new->n_files; i++)
		if (strcmp(new->file[i].fingerprint, first) != 0)
			return &new->file[i];
	return NULL;
}

int diff_notes(const struct side *base, const struct side *new, struct report *out, struct err *e)
{
	const struct side_file *other = other_machine(base, new);
	struct noting n = { out, &base->file[0], &new->file[0], e };

	out->same_machine = !other;
	if (other &&
	    report_note(out, e, "machine",
			"%s and %s are from different machines (fingerprints %.16s, %.16s): what "
			"differs may be the machine",
			base->file[0].name, other->name, base->file[0].fingerprint,
			other->fingerprint) < 0)
		return -1;
	for (size_t i = 0; i < base->n_files; i++)
		if (note_file(out, &base->file[i], e) < 0)
			return -1;
	for (size_t i = 0; i < new->n_files; i++)
		if (note_file(out, &new->file[i], e) < 0)
			return -1;
	if (note_noise(out, base, e) < 0 || note_noise(out, new, e) < 0)
		return -1;
	return each_unlike(base->file[0].how, new->file[0].how, note_how, &n);
}

static int parse_threshold(struct diff_rules *out, const char *text, struct err *e)
{
	struct diff_threshold *t = &out->threshold_of[out->n_thresholds];
	const char *equals = strrchr(text, '=');
	CLEANUP_FREE char *pattern = equals ? strndup(text, (size_t)(equals - text)) : NULL;
	double value;

	if (num_parse_double(equals ? equals + 1 : text, &value, e) < 0 || value < 0 || value >= 1)
		return err_set(e, ERR_USAGE, "threshold",
			       "--threshold: '%s' is not between 0%% and 100%% (try 5%% or "
			       "latency.p99=10%%)",
			       text);
	if (!equals) {
		out->threshold = value;
		return 0;
	}
	if (!pattern)
		return err_nomem(e);
	t->value = value;
	out->n_thresholds++;
	return selector_parse(&t->of, pattern, e);
}

int diff_rules_parse(struct diff_rules *out, const struct diff_opts *o, struct err *e)
{
	*out = (struct diff_rules){ .threshold = DIFF_THRESHOLD,
				    .allow = &o->allow,
				    .strict = o->strict };
	for (size_t i = 0; i < o->thresholds.n; i++)
		if (parse_threshold(out, o->thresholds.v[i], e) < 0)
			return -1;
	for (size_t i = 0; i < o->gates.n; i++)
		if (selector_parse(&out->gate[out->n_gates++], o->gates.v[i], e) < 0)
			return -1;
	return 0;
}
