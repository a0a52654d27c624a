#include "peer/http-group.h"

#include <stdlib.h>
#include <string.h>

const char *const http_phases[] = { "phase.dns", "phase.tcp", "phase.tls", "phase.answer", NULL };

static void release(struct group *base)
{
	struct http_group *g = (struct http_group *)base;

	http_curl_free(g->curl);
	free(g->received);
	free(g->record);
	g->curl = NULL;
	g->received = NULL;
	g->record = NULL;
	g->recorder = NULL;
	g->recorded = false;
}

static int fill(struct group *base, void *plan, struct err *e)
{
	struct http_group *g = (struct http_group *)base;
	const struct http_plan *p = plan;

	g->received = malloc(HTTP_RECEIVE_SIZE);
	if (!g->received)
		return err_nomem(e);
	return http_curl_new(&g->curl, base->loop, p->sessions, e);
}

static const struct group_kind kind = { sizeof(struct http_group), fill, release };

int http_plan_init(struct http_plan *p, struct err *e)
{
	return groups_init(&p->groups, &kind, e);
}

void http_plan_done(struct http_plan *p)
{
	groups_done(&p->groups);
}

int http_group_join(struct http_plan *p, struct loop *loop, struct http_group **out, struct err *e)
{
	struct group *g;
	int rc = groups_join(&p->groups, loop, p, &g, e);

	*out = (struct http_group *)g;
	return rc;
}

void http_group_leave(struct http_plan *p, struct http_group *g)
{
	groups_leave(&p->groups, &g->base);
}

static void collect(struct group *base, void *arg)
{
	struct http_tally *t = &((struct http_group *)base)->tally, *out = arg;

	out->requests += t->requests;
	out->opened += t->opened;
	out->reused += t->reused;
	out->closed += t->closed;
	out->stalls += t->stalls;
	out->sent_bytes += t->sent_bytes;
	out->received_bytes += t->received_bytes;
	if (t->version) {
		out->version = t->version;
		memcpy(out->server, t->server, sizeof(out->server));
	}
	memset(t, 0, sizeof(*t));
}

void http_plan_collect(struct http_plan *p, struct http_tally *out)
{
	memset(out, 0, sizeof(*out));
	groups_each(&p->groups, collect, out);
}
