#include "result/document.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/version.h"
#include "result/config.h"
#include "result/environment.h"

static int add_run_id(json_t *root, struct err *e)
{
	unsigned char random[16];
	char text[2 * sizeof(random) + 1];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(e, ERR_INTERNAL, "random number for the run id");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	return json_put(root, "run_id", json_string(text), e);
}

static int add_tool(json_t *root, struct err *e)
{
	json_t *tool = json_put_object(root, "tool", e);
	json_t *libraries;

	if (!tool || json_put(tool, "name", json_string("mpbench"), e) < 0 ||
	    json_put(tool, "version", json_outside_text(version_text()), e) < 0 ||
	    json_put(tool, "compiler", json_string(__VERSION__), e) < 0)
		return -1;
	libraries = json_put_object(tool, "libraries", e);
	return libraries ? json_put(libraries, "jansson", json_string(jansson_version_str()), e)
			 : -1;
}

static int add_command(json_t *root, const struct document_head *h, struct err *e)
{
	json_t *command = json_put_object(root, "command", e);
	json_t *argv;

	if (!command || json_put(command, "subcommand", json_outside_text(h->subcommand), e) < 0)
		return -1;
	argv = json_put_array(command, "argv", e);
	if (!argv)
		return -1;
	for (int i = 0; i < h->argc; i++)
		if (json_push(argv, json_masked_text(h->argv[i]), e) < 0)
			return -1;
	return 0;
}

static int add_labels(json_t *root, const struct opt_strings *list, struct err *e)
{
	json_t *labels = json_put_object(root, "labels", e);

	for (size_t i = 0; labels && list && i < list->n; i++) {
		const char *equals = strchr(list->v[i], '=');
		char key[128];
		CLEANUP(json_decref) json_t *safe = NULL;

		if (!equals || equals == list->v[i] || (size_t)(equals - list->v[i]) >= sizeof(key))
			return err_set(e, ERR_USAGE, "label",
				       "label '%s' is not KEY=VALUE, as in branch=main",
				       list->v[i]);
		memcpy(key, list->v[i], (size_t)(equals - list->v[i]));
		key[equals - list->v[i]] = '\0';
		safe = json_outside_text(key);
		if (!safe)
			return err_nomem(e);
		if (json_put(labels, json_string_value(safe), json_outside_text(equals + 1), e) < 0)
			return -1;
	}
	return labels ? 0 : -1;
}

static int add_times(json_t *root, struct err *e)
{
	char now[32];

	clock_rfc3339(now);
	if (json_put(root, "started_at", json_string(now), e) < 0 ||
	    json_put(root, "finished_at", json_string(now), e) < 0 ||
	    json_put(root, "status", json_string("interrupted"), e) < 0 ||
	    json_put(root, "error", json_null(), e) < 0)
		return -1;
	return 0;
}

static int add_lists(json_t *root, struct err *e)
{
	static const char *const lists[] = { "targets", "benchmarks", "comparisons",
					     "checks",	"findings",   "warnings" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (!json_put_array(root, lists[i], e))
			return -1;
	return json_put_object(root, "extensions", e) ? 0 : -1;
}

int document_new(struct document *d, const struct document_head *h, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_object();

	d->root = NULL;
	if (!root)
		return err_nomem(e);
	if (json_put(root, "schema", json_string("mpbench.result"), e) < 0 ||
	    json_put(root, "schema_version", json_string(DOCUMENT_VERSION), e) < 0 ||
	    add_tool(root, e) < 0 || add_run_id(root, e) < 0 || add_times(root, e) < 0 ||
	    add_command(root, h, e) < 0 || add_labels(root, h->labels, e) < 0)
		return -1;
	if (json_put(root, "vcs", vcs_make(h->commit, h->variable, e), e) < 0 ||
	    json_put(root, "environment", environment_make(h->host, e), e) < 0 ||
	    json_put(root, "noise", json_null(), e) < 0 ||
	    json_put(root, "config", config_make(h->table, h->options, e), e) < 0 ||
	    add_lists(root, e) < 0)
		return -1;
	d->root = TAKE(root);
	return 0;
}

void document_done(struct document *d)
{
	json_decref(d->root);
	d->root = NULL;
}

static int add_members(json_t *target, const struct target *t, struct err *e)
{
	json_t *members = json_put_array(target, "members", e);

	for (size_t i = 0; members && i < t->n_members; i++)
		if (json_push(members, json_outside_text(t->member[i].shown), e) < 0)
			return -1;
	return members ? 0 : -1;
}

static int add_target_url(json_t *target, const struct target *t, struct err *e)
{
	CLEANUP(buf_done) struct buf url = BUF_INIT;

	for (size_t i = 0; i < t->n_members; i++) {
		buf_adds(&url, i ? "+" : "");
		buf_adds(&url, t->member[i].shown);
	}
	return url.failed ? err_nomem(e)
			  : json_put(target, "url", json_outside_text(buf_text(&url)), e);
}

int document_add_target(struct document *d, const struct target *t, const char *const *identity,
			struct err *e)
{
	json_t *target = json_push_object(json_object_get(d->root, "targets"), e);
	json_t *known;

	if (!target || json_put(target, "label", json_outside_text(t->label), e) < 0 ||
	    add_target_url(target, t, e) < 0 || (t->n_members > 1 && add_members(target, t, e) < 0))
		return -1;
	known = json_put_object(target, "identity", e);
	if (!known)
		return -1;
	for (; identity && identity[0] && identity[1]; identity += 2)
		if (json_put(known, identity[0], json_outside_text(identity[1]), e) < 0)
			return -1;
	return 0;
}

int document_add_noise(struct document *d, const struct noise *n, struct err *e)
{
	return json_put(d->root, "noise", noise_make(n, e), e);
}

static bool is_same_warning(const json_t *warning, const char *code, const json_t *message)
{
	return strcmp(json_string_value(json_object_get(warning, "code")), code) == 0 &&
	       json_equal(json_object_get(warning, "message"), message);
}

int document_add_warning(struct document *d, const char *code, const char *message, struct err *e)
{
	CLEANUP(json_decref) json_t *text = json_masked_text(message);
	json_t *warnings = json_object_get(d->root, "warnings");
	json_t *warning;
	size_t i;

	if (!text)
		return err_nomem(e);
	json_array_foreach(warnings, i, warning) if (is_same_warning(warning, code, text)) return 0;
	warning = json_push_object(warnings, e);
	if (!warning || json_put(warning, "code", json_outside_text(code), e) < 0)
		return -1;
	return json_put(warning, "message", TAKE(text), e);
}

int document_add_finding(struct document *d, const char *code, const char *benchmark,
			 const char *target, const char *evidence, const char *remedy,
			 struct err *e)
{
	json_t *finding = json_push_object(json_object_get(d->root, "findings"), e);

	if (!finding || json_put(finding, "code", json_outside_text(code), e) < 0 ||
	    json_put(finding, "benchmark", json_outside_text(benchmark), e) < 0 ||
	    json_put(finding, "target", json_outside_text(target), e) < 0 ||
	    json_put(finding, "evidence", json_masked_text(evidence), e) < 0 ||
	    json_put(finding, "remedy", json_masked_text(remedy), e) < 0)
		return -1;
	return 0;
}

int document_add_extension(struct document *d, const char *name, json_t *value, struct err *e)
{
	return json_put(json_object_get(d->root, "extensions"), name, value, e);
}

static const char *kind_name(enum err_kind kind)
{
	switch (kind) {
	case ERR_CHECK:
		return "check";
	case ERR_USAGE:
		return "usage";
	case ERR_MACHINE:
		return "machine";
	case ERR_TARGET:
		return "target";
	default:
		return "internal";
	}
}

static int add_error(json_t *root, const struct err *why, struct err *e)
{
	json_t *error = json_put_object(root, "error", e);

	if (!error || json_put(error, "kind", json_string(kind_name(why->kind)), e) < 0 ||
	    json_put(error, "code", json_outside_text(why->code), e) < 0 ||
	    json_put(error, "message", json_masked_text(why->msg), e) < 0)
		return -1;
	return 0;
}

int document_finish(struct document *d, const char *status, const struct err *why, struct err *e)
{
	char now[32];

	clock_rfc3339(now);
	if (json_put(d->root, "finished_at", json_string(now), e) < 0 ||
	    json_put(d->root, "status", json_string(status), e) < 0)
		return -1;
	return why && why->kind != ERR_NONE ? add_error(d->root, why, e) : 0;
}
