#include "result/selector.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* Cuts `text` at its last `mark`; what follows goes to out, "*" where there is no mark. */
static void cut_last(char *text, char mark, char *out)
{
	char *at = strrchr(text, mark);

	snprintf(out, SELECTOR_MAX, "%s", at ? at + 1 : "*");
	if (at)
		*at = '\0';
}

static int check_params(const struct selector *s, struct err *e)
{
	for (const char *p = s->params; *p;) {
		size_t n = strcspn(p, ","), key = strcspn(p, "=,");

		if (key == 0 || key >= n)
			return err_set(
				e, ERR_USAGE, "pattern",
				"'%s': '%.*s' is not KEY=VALUE (try tftp.read,blksize=512:latency.median)",
				s->text, (int)n, p);
		p += n + (p[n] == ',');
	}
	return 0;
}

int selector_parse(struct selector *s, const char *text, struct err *e)
{
	char rest[SELECTOR_MAX];
	char *comma;
	size_t len = strlen(text);

	*s = (struct selector){ 0 };
	if (len >= SELECTOR_MAX || len == 0)
		return err_set(e, ERR_USAGE, "pattern",
			       len ? "'%.40s...': too long a pattern"
				   : "'%s': an empty pattern (try latency.p99)",
			       text);
	memcpy(s->text, text, len + 1);
	memcpy(rest, text, len + 1);
	snprintf(s->name, sizeof(s->name), "*");
	snprintf(s->target, sizeof(s->target), "*");
	if (!strpbrk(rest, " :")) {
		memcpy(s->metric, rest, len + 1);
		return 0;
	}
	cut_last(rest, strchr(rest, ' ') ? ' ' : ':', s->metric);
	cut_last(rest, '@', s->target);
	comma = strchr(rest, ',');
	if (comma) {
		*comma = '\0';
		snprintf(s->params, sizeof(s->params), "%s", comma + 1);
	}
	if (*rest)
		snprintf(s->name, sizeof(s->name), "%s", rest);
	if (*s->metric == '\0' || *s->target == '\0')
		return err_set(e, ERR_USAGE, "pattern",
			       "'%s': nothing after ':' or '@' (try repl.exec:latency.p99)", text);
	return check_params(s, e);
}

/* One KEY=VALUE of n bytes against "key=value key=value". */
static bool param_matches(const char *wanted, size_t n, const char *params)
{
	char pattern[SELECTOR_MAX], one[SELECTOR_MAX];

	snprintf(pattern, sizeof(pattern), "%.*s", (int)n, wanted);
	for (const char *p = params; *p;) {
		size_t len = strcspn(p, " ");

		snprintf(one, sizeof(one), "%.*s", len < SELECTOR_MAX ? (int)len : SELECTOR_MAX - 1,
			 p);
		if (fnmatch(pattern, one, 0) == 0)
			return true;
		p += len + (p[len] == ' ');
	}
	return false;
}

bool selector_matches_case(const struct selector *s, const char *name, const char *target,
			   const char *params)
{
	if (fnmatch(s->name, name, 0) != 0 || fnmatch(s->target, target, 0) != 0)
		return false;
	for (const char *p = s->params; *p;) {
		size_t n = strcspn(p, ",");

		if (!param_matches(p, n, params))
			return false;
		p += n + (p[n] == ',');
	}
	return true;
}

bool selector_matches(const struct selector *s, const char *name, const char *target,
		      const char *params, const char *metric)
{
	return fnmatch(s->metric, metric, 0) == 0 && selector_matches_case(s, name, target, params);
}

bool selector_is_literal(const struct selector *s)
{
	return !strpbrk(s->metric, "*?[");
}
