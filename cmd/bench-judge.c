#include "bench-judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "result/emit.h"

static const struct diff_opts defaults;

static int open_baseline(struct bench_judge *j, const json_t *head, struct err *e)
{
	CLEANUP(side_done) struct side mine = { 0 };

	j->rules = malloc(sizeof(*j->rules));
	if (!j->rules)
		return err_nomem(e);
	if (diff_rules_parse(j->rules, &defaults, e) < 0 ||
	    side_load(&j->base, j->common->opts->baseline, e) < 0 ||
	    side_add(&mine, "this measurement", head, e) < 0 ||
	    diff_comparable(&j->base, &mine, j->rules, e) < 0)
		return err_wrap(e, "--baseline");
	return 0;
}

int bench_judge_open(struct bench_judge *j, const struct common *common, const json_t *head,
		     struct err *e)
{
	const struct limit *relative;

	*j = (struct bench_judge){ .common = common };
	if (limit_add(&common->opts->that, &j->limit, &j->n_limits, e) < 0)
		return err_wrap(e, "--that");
	relative = limit_find_relative(j->limit, j->n_limits);
	if (relative && !common->opts->baseline)
		return err_set(e, ERR_USAGE, "limit",
			       "--that: '%s' is a change: of what? (--baseline FILE)",
			       relative->text);
	return common->opts->baseline ? open_baseline(j, head, e) : 0;
}

void bench_judge_done(struct bench_judge *j)
{
	report_done(&j->report);
	side_done(&j->base);
	side_done(&j->new);
	free(j->limit);
	free(j->rules);
	*j = (struct bench_judge){ 0 };
}

int bench_judge_apply(struct bench_judge *j, json_t *root, struct err *e)
{
	json_t *comparison;

	if (!j->n_limits && !j->rules)
		return 0;
	if (side_add(&j->new, "this measurement", root, e) < 0 ||
	    limit_check(j->limit, j->n_limits, &j->new, j->rules ? &j->base : NULL,
			json_object_get(root, "checks"), &j->counts, e) < 0)
		return -1;
	if (!j->rules)
		return 0;
	if (diff_make(&j->base, &j->new, j->rules, &j->report, &j->trouble) < 0)
		return 0;
	j->report.brief = true;
	comparison = report_json(&j->report, e);
	if (!comparison)
		return -1;
	return json_put(json_object_get(root, "extensions"), "baseline", comparison, e);
}

int bench_judge_show(const struct bench_judge *j, struct err *e)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	const struct common *c = j->common;
	bool taken = c->output && strcmp(c->output, "-") == 0;

	if (c->opts->json || c->opts->quiet || taken)
		return 0;
	if (!j->rules || j->trouble.kind != ERR_NONE)
		return 0;
	buf_adds(&out, "\nAgainst ");
	buf_add_safe(&out, c->opts->baseline, strlen(c->opts->baseline));
	buf_adds(&out, ":\n");
	if (report_table(&j->report, &c->style, &out, e) < 0)
		return -1;
	return emit_fd(STDOUT_FILENO, buf_text(&out), out.len, "standard output", e);
}

int bench_judge_status(const struct bench_judge *j, struct err *e)
{
	int limits = limit_status(&j->counts);

	if (j->trouble.kind != ERR_NONE) {
		*e = j->trouble;
		return err_wrap(e, "--baseline");
	}
	if (limits == ERR_USAGE)
		return err_set(e, ERR_USAGE, "limit",
			       "--that: a metric is unknown or has no value (see the checks)");
	return limits ? limits : j->rules ? diff_status(&j->report, NULL) : 0;
}
