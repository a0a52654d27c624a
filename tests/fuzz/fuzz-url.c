/* url: any text as a target; what was taken has all its parts, shows no credentials, and its shown form is a URL again. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/url.h"

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static void check(const struct url *u)
{
	static const char *const none[] = { NULL };
	CLEANUP(url_done) struct url again = { 0 };
	struct err e;

	must(u->scheme && u->host && u->path && u->shown, "every part is there");
	must(u->n_query <= URL_QUERY_MAX, "query bound");
	for (size_t i = 0; i < u->n_query; i++)
		must(url_query(u, u->query[i].key) != NULL, "query lookup");
	must(url_check_query(u, none, &e) == (u->n_query ? -1 : 0), "query check");
	must(url_check_scheme(u, none, &e) < 0, "scheme check");
	must(url_parse(&again, u->shown, &e) == 0, "the shown form is a URL");
	must(again.userinfo == NULL || strcmp(u->scheme, "exec") == 0, "userinfo is never shown");
	must(strcmp(again.scheme, u->scheme) == 0 && strcmp(again.host, u->host) == 0 &&
		     again.port == u->port,
	     "the shown form names the same place");
}

static void numbers(const char *text)
{
	struct err e;
	uint64_t v;
	double d;
	char out[NUM_TEXT_MAX];

	if (num_parse_u64(text, &v, &e) == 0)
		num_format_count(out, (double)v);
	if (num_parse_duration(text, &v, &e) == 0)
		num_format_ns(out, (double)v);
	if (num_parse_size(text, &v, &e) == 0)
		num_format_bytes(out, (double)v);
	if (num_parse_rate(text, &v, &e) == 0)
		num_format_unit(out, (double)v, "ops_per_second");
	if (num_parse_double(text, &d, &e) == 0) {
		must(d >= 0 && d * 0 == 0, "a finite number");
		num_format_unit(out, d, text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *text = strndup((const char *)data, size);
	CLEANUP(target_done) struct target t = { 0 };
	struct err e = { 0 };

	must(text != NULL, "memory");
	numbers(text);
	if (target_parse(&t, text, &e) < 0) {
		must(e.kind == ERR_USAGE && e.msg[0], "an error says what it is");
		return 0;
	}
	must(t.n_members > 0 && t.n_members <= TARGET_MEMBERS_MAX, "members");
	for (size_t i = 0; i < t.n_members; i++)
		check(&t.member[i]);
	must(target_label(&t, 1, &e) == 0 && *t.label, "label");
	return 0;
}
