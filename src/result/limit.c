#include "result/limit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "result/screen.h"
#include "stats/summary.h"

static const struct {
	const char *text;
	enum limit_op op;
} operators[] = { { "<=", LIMIT_LE }, { ">=", LIMIT_GE }, { "==", LIMIT_EQ },
		  { "!=", LIMIT_NE }, { "<", LIMIT_LT },  { ">", LIMIT_GT } };

enum { OPERATORS = sizeof(operators) / sizeof(*operators) };

static const char *find_operator(const char *text, size_t *which)
{
	for (const char *p = text; *p; p++)
		for (size_t i = 0; i < OPERATORS; i++)
			if (strncmp(p, operators[i].text, strlen(operators[i].text)) == 0) {
				*which = i;
				return p;
			}
	return NULL;
}

/* Without the blanks around it; false when it does not fit or nothing is left. */
static bool trim(const char *from, size_t len, char *out, size_t size)
{
	while (len && (*from == ' ' || *from == '\t')) {
		from++;
		len--;
	}
	while (len && (from[len - 1] == ' ' || from[len - 1] == '\t'))
		len--;
	if (len == 0 || len >= size)
		return false;
	memcpy(out, from, len);
	out[len] = '\0';
	return true;
}

/* A percentage with a sign is a change: "-3%". */
static int parse_change(struct limit *l, struct err *e)
{
	size_t len = strlen(l->value);
	double share = 0;

	l->relative = (*l->value == '+' || *l->value == '-') && l->value[len - 1] == '%';
	if (!l->relative)
		return 0;
	if (strspn(l->value + 1, "0123456789.") != len - 2 ||
	    num_parse_double(l->value + 1, &share, e) < 0)
		return err_set(e, ERR_USAGE, "limit",
			       "'%.80s': '%s' is no change (try +3%% or -3%%)", l->text, l->value);
	l->change = *l->value == '-' ? -share : share;
	return 0;
}

const struct limit *limit_find_relative(const struct limit *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].relative)
			return &list[i];
	return NULL;
}

int limit_parse(struct limit *l, const char *text, struct err *e)
{
	char left[SELECTOR_MAX];
	size_t which = 0;
	const char *at = find_operator(text, &which), *value;

	*l = (struct limit){ 0 };
	if (!at || !trim(text, strlen(text), l->text, sizeof(l->text)))
		return err_set(e, ERR_USAGE, "limit",
			       "'%.80s' is not METRIC OP VALUE (try 'repl.exec latency.p99 < 5ms')",
			       text);
	value = at + strlen(operators[which].text);
	l->op = operators[which].op;
	if (!trim(text, (size_t)(at - text), left, sizeof(left)) ||
	    !trim(value, strlen(value), l->value, sizeof(l->value)) || strpbrk(l->value, " \t"))
		return err_set(e, ERR_USAGE, "limit",
			       "'%.80s': no metric or no value (try 'repl.exec latency.p99 < 5ms')",
			       text);
	/* Several blanks between case and metric are as good as one. */
	for (char *p = left; *p; p++) {
		size_t blanks = strspn(p, " \t");

		if (blanks > 1)
			memmove(p + 1, p + blanks, strlen(p + blanks) + 1);
		if (blanks)
			*p = ' ';
	}
	return parse_change(l, e) < 0 ? -1 : selector_parse(&l->of, left, e);
}

static int add_one(const char *text, struct limit **list, size_t *n, struct err *e)
{
	struct limit *grown = reallocarray(*list, *n + 1, sizeof(*grown));

	if (!grown)
		return err_nomem(e);
	*list = grown;
	if (limit_parse(&grown[*n], text, e) < 0)
		return -1;
	++*n;
	return 0;
}

int limit_add(const struct opt_strings *texts, struct limit **list, size_t *n, struct err *e)
{
	for (size_t i = 0; i < texts->n; i++)
		if (add_one(texts->v[i], list, n, e) < 0)
			return -1;
	return 0;
}

static int read_lines(FILE *f, const char *path, struct limit **list, size_t *n, struct err *e)
{
	char line[512];

	for (unsigned number = 1; fgets(line, sizeof(line), f); number++) {
		size_t len = strcspn(line, "#\n");

		if (strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n')
			return err_set(e, ERR_USAGE, "limit", "%s:%u: too long a line", path,
				       number);
		line[len] = '\0';
		if (line[strspn(line, " \t\r")] == '\0')
			continue;
		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (*n >= 4096)
			return err_set(e, ERR_USAGE, "limit", "%s: more than 4096 limits", path);
		if (add_one(line, list, n, e) < 0)
			return err_wrap(e, "%s:%u", path, number);
	}
	return ferror(f) ? err_sys(e, ERR_USAGE, "read %s", path) : 0;
}

int limit_read(const char *path, struct limit **list, size_t *n, struct err *e)
{
	FILE *f = fopen(path, "re");
	int rc;

	if (!f)
		return err_sys(e, ERR_USAGE, "open %s", path);
	rc = read_lines(f, path, list, n, e);
	fclose(f);
	return rc;
}

/* "10MiB/s" counts 1024 as a size does, "10M" 1000 as a rate does. */
static int parse_rate(const char *text, double *out, struct err *e)
{
	char size[64];
	size_t len = strlen(text);
	uint64_t value = 0;
	int rc;

	if (len > 3 && len < sizeof(size) && strcmp(text + len - 3, "B/s") == 0) {
		memcpy(size, text, len - 2);
		size[len - 2] = '\0';
		rc = num_parse_size(size, &value, e);
	} else {
		rc = num_parse_rate(text, &value, e);
	}
	*out = (double)value;
	return rc;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static int parse_value(const char *text, const char *unit, double *out, struct err *e)
{
	uint64_t value = 0;
	int rc;

	if (ends_with(unit, "_per_second"))
		return parse_rate(text, out, e);
	if (strcmp(unit, "ns") != 0 && strcmp(unit, "bytes") != 0)
		return num_parse_double(text, out, e);
	if (strcmp(unit, "ns") == 0 && text[strspn(text, "0123456789.")] == '\0' &&
	    strcmp(text, "0") != 0)
		return err_set(e, ERR_USAGE, "limit", "'%s' has no unit of time (try %sms)", text,
			       text);
	rc = strcmp(unit, "ns") == 0 ? num_parse_duration(text, &value, e)
				     : num_parse_size(text, &value, e);
	*out = (double)value;
	return rc;
}

static bool holds(double value, enum limit_op op, double limit)
{
	switch (op) {
	case LIMIT_LT:
		return value < limit;
	case LIMIT_LE:
		return value <= limit;
	case LIMIT_GT:
		return value > limit;
	case LIMIT_GE:
		return value >= limit;
	case LIMIT_EQ:
		return value <= limit && value >= limit;
	default:
		return value < limit || value > limit;
	}
}

struct checking {
	const struct limit *limit;
	const struct side *base; /* NULL */
	json_t *checks;
	struct limit_counts *counts;
	struct err *e;
};

struct found {
	const struct side_case *of; /* NULL: nothing matched */
	const char *metric, *unit;
	double value, limit;
};

static int add_check(struct checking *c, const char *status, const struct found *f,
		     const char *message)
{
	json_t *o = json_push_object(c->checks, c->e);
	const char *params = f->of ? f->of->params : "";

	if (!o || json_put(o, "expr", json_outside_text(c->limit->text), c->e) < 0 ||
	    json_put(o, "status", json_string(status), c->e) < 0 ||
	    json_put(o, "value", json_number(f->value), c->e) < 0 ||
	    json_put(o, "limit", json_number(f->limit), c->e) < 0 ||
	    json_put(o, "unit", json_known_text(f->unit), c->e) < 0 ||
	    json_put(o, "benchmark", json_outside_text(f->of ? f->of->name : NULL), c->e) < 0 ||
	    json_put(o, "target", json_outside_text(f->of ? f->of->target : NULL), c->e) < 0 ||
	    json_put(o, "params", json_known_text(params), c->e) < 0 ||
	    json_put(o, "metric", json_outside_text(f->metric), c->e) < 0 ||
	    json_put(o, "message", json_known_text(message), c->e) < 0)
		return -1;
	*(strcmp(status, "pass") == 0	? &c->counts->pass
	  : strcmp(status, "fail") == 0 ? &c->counts->fail
					: &c->counts->error) += 1;
	return 0;
}

static int median_of(const struct side_case *of, const struct side_metric *m, double *out,
		     struct err *e)
{
	CLEANUP_FREE double *values = calloc(of->n_runs + 1, sizeof(*values));
	size_t n = 0;

	if (!values)
		return err_nomem(e);
	for (size_t i = 0; i < of->n_runs; i++)
		if (isfinite(m->values[i]))
			values[n++] = m->values[i];
	summary_sort(values, n);
	*out = summary_median_sorted(values, n);
	return 0;
}

/* NaN where the baseline has no such value. */
static int base_value(struct checking *c, const struct found *f, double *out)
{
	const struct side_case *of = c->base ? side_case_find(c->base, f->of) : NULL;
	const struct side_metric *m;

	*out = (double)NAN;
	if (!of)
		return 0;
	if (strcmp(f->metric, "errors") == 0) {
		*out = (double)of->failed;
		return 0;
	}
	m = side_metric_find(of, f->metric);
	return m ? median_of(of, m, out, c->e) : 0;
}

static int check_change(struct checking *c, struct found *f)
{
	char message[160], now[NUM_TEXT_MAX], before[NUM_TEXT_MAX];
	double base;

	if (base_value(c, f, &base) < 0)
		return -1;
	num_format_unit(now, f->value, f->unit);
	num_format_unit(before, base, f->unit);
	snprintf(message, sizeof(message), "%s, in the baseline %s", now, before);
	f->limit = c->limit->change;
	f->unit = "change";
	if (isnan(base) || !(base > 0)) {
		f->value = (double)NAN;
		return add_check(c, "error", f,
				 isnan(base)
					 ? "the baseline has no such value"
					 : "the baseline is 0: a change of it is no percentage");
	}
	f->value = f->value / base - 1;
	return add_check(c, holds(f->value, c->limit->op, f->limit) ? "pass" : "fail", f, message);
}

static int check_value(struct checking *c, struct found *f)
{
	struct err why;

	f->limit = (double)NAN;
	if (isnan(f->value))
		return add_check(c, "error", f,
				 "no run has a value (too few samples, or all runs failed)");
	if (c->limit->relative)
		return check_change(c, f);
	if (parse_value(c->limit->value, f->unit, &f->limit, &why) < 0) {
		f->limit = (double)NAN;
		return add_check(c, "error", f, why.msg);
	}
	return add_check(c, holds(f->value, c->limit->op, f->limit) ? "pass" : "fail", f, NULL);
}

static int check_case(struct checking *c, const struct side_case *of, size_t *matched)
{
	const struct selector *s = &c->limit->of;
	struct found f = { .of = of };

	if (!selector_matches_case(s, of->name, of->target, of->params))
		return 0;
	if (strcmp(s->metric, "errors") == 0) {
		f.metric = "errors";
		f.unit = "count";
		f.value = (double)of->failed;
		++*matched;
		return check_value(c, &f);
	}
	for (size_t i = 0; i < of->n_metrics; i++) {
		const struct side_metric *m = &of->metric[i];

		if (!selector_matches(s, of->name, of->target, of->params, m->name))
			continue;
		f.metric = m->name;
		f.unit = m->unit;
		++*matched;
		if (median_of(of, m, &f.value, c->e) < 0 || check_value(c, &f) < 0)
			return -1;
	}
	return 0;
}

/* A metric that is called nearly so. */
static const char *nearest(const struct side *side, const char *metric)
{
	const char *names[256];
	size_t n = 0;

	for (size_t i = 0; i < side->n_cases; i++)
		for (size_t k = 0; k < side->cases[i].n_metrics && n < 256; k++)
			names[n++] = side->cases[i].metric[k].name;
	return opt_nearest(metric, names, n);
}

static int check_one(struct checking *c, const struct side *side)
{
	const struct found none = { .value = (double)NAN, .limit = (double)NAN };
	const char *near;
	char message[300];
	size_t matched = 0;

	for (size_t i = 0; i < side->n_cases; i++)
		if (check_case(c, &side->cases[i], &matched) < 0)
			return -1;
	if (matched)
		return 0;
	near = nearest(side, c->limit->of.metric);
	snprintf(message, sizeof(message), "no case has such a metric%s%s%s",
		 near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
	return add_check(c, "error", &none, message);
}

int limit_check(const struct limit *list, size_t n, const struct side *side,
		const struct side *base, json_t *checks, struct limit_counts *counts, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		struct checking c = { &list[i], base, checks, counts, e };

		if (check_one(&c, side) < 0)
			return -1;
	}
	return 0;
}

int limit_status(const struct limit_counts *c)
{
	return c->error ? ERR_USAGE : c->fail ? ERR_CHECK : 0;
}
