/* rpyc-group - what the RPyC sessions of one thread share: zlib's memory, libcurl's state, counts */
#pragma once

#include "peer/rpyc-session.h"

struct rpyc_group {
	struct group base;
	struct rpyc_zip *zip;
	struct http_curl *curl; /* NULL without TLS */
	struct rpyc_tally tally;
};

/* The group of that loop, made for its first session. */
int rpyc_group_join(struct rpyc_plan *p, struct loop *loop, struct rpyc_group **out,
		    struct err *e) ERR_MUST_CHECK;
/* Its counts stay for rpyc_plan_collect. */
void rpyc_group_leave(struct rpyc_plan *p, struct rpyc_group *g);

/* A word for a remote exception of that class, kept with the facts. */
const char *rpyc_facts_word(struct rpyc_facts *f, const char *name, size_t len);
/* What a root and an exception tell. */
void rpyc_facts_service(struct rpyc_facts *f, enum rpyc_layout layout, const struct rpyc_id *root);
void rpyc_facts_version(struct rpyc_facts *f, const char *text, size_t len);
enum rpyc_layout rpyc_facts_layout(struct rpyc_facts *f);
