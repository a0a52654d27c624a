/* selector - which metrics of which cases an option means */
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum { SELECTOR_MAX = 256 };

/*
 * "METRIC" or "CASE:METRIC" or "CASE METRIC"; CASE is NAME[,KEY=VALUE...][@TARGET]. NAME, TARGET, VALUE and METRIC are
 * shell patterns (* ? [...]); what is not said matches anything. "tftp.read,blksize=512@old:latency.*"
 */
struct selector {
	char text[SELECTOR_MAX]; /* as written */
	char name[SELECTOR_MAX], params[SELECTOR_MAX], target[SELECTOR_MAX], metric[SELECTOR_MAX];
};

/* ERR_USAGE when it is empty, too long, or a parameter is no KEY=VALUE. */
int selector_parse(struct selector *s, const char *text, struct err *e) ERR_MUST_CHECK;
/* params as "key=value key=value". */
bool selector_matches_case(const struct selector *s, const char *name, const char *target,
			   const char *params);
bool selector_matches(const struct selector *s, const char *name, const char *target,
		      const char *params, const char *metric);
/* Whether it names one metric, without a pattern. */
bool selector_is_literal(const struct selector *s);
