#include "peer/http-group.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

const char *const http_phases[] = { "phase.dns", "phase.tcp", "phase.tls", "phase.answer", NULL };

int http_plan_init(struct http_plan *p, struct err *e)
{
	pthread_mutex_t *lock = malloc(sizeof(pthread_mutex_t));

	if (!lock)
		return err_nomem(e);
	pthread_mutex_init(lock, NULL);
	p->lock = lock;
	p->groups = NULL;
	return 0;
}

static void group_release(struct http_group *g)
{
	http_curl_free(g->curl);
	free(g->received);
	free(g->record);
	g->curl = NULL;
	g->received = NULL;
	g->record = NULL;
	g->recorder = NULL;
	g->recorded = false;
}

void http_plan_done(struct http_plan *p)
{
	while (p->groups) {
		struct http_group *next = p->groups->next;

		group_release(p->groups);
		free(p->groups);
		p->groups = next;
	}
	if (p->lock)
		pthread_mutex_destroy(p->lock);
	free(p->lock);
	p->lock = NULL;
}

static int group_fill(struct http_group *g, const struct http_plan *p, struct err *e)
{
	g->received = malloc(HTTP_RECEIVE_SIZE);
	if (!g->received)
		return err_nomem(e);
	return http_curl_new(&g->curl, g->loop, p->sessions, e);
}

/* The group of that loop; else one that lost its last member, whose counts go on; else a new one. */
static struct http_group *find_group(struct http_plan *p, struct loop *loop)
{
	struct http_group *left = NULL;

	for (struct http_group *g = p->groups; g; g = g->next) {
		if (g->members && g->loop == loop)
			return g;
		if (!g->members)
			left = g;
	}
	if (!left) {
		left = calloc(1, sizeof(*left));
		if (!left)
			return NULL;
		left->next = p->groups;
		p->groups = left;
	}
	left->loop = loop;
	return left;
}

int http_group_join(struct http_plan *p, struct loop *loop, struct http_group **out, struct err *e)
{
	struct http_group *g;
	int rc = 0;

	pthread_mutex_lock(p->lock);
	g = find_group(p, loop);
	if (!g) {
		rc = err_nomem(e);
	} else {
		if (g->members == 0)
			rc = group_fill(g, p, e);
		if (rc == 0)
			g->members++;
		else if (g->members == 0)
			group_release(g);
	}
	pthread_mutex_unlock(p->lock);
	*out = g;
	return rc;
}

void http_group_leave(struct http_plan *p, struct http_group *g)
{
	pthread_mutex_lock(p->lock);
	if (--g->members == 0)
		group_release(g);
	pthread_mutex_unlock(p->lock);
}

void http_plan_collect(struct http_plan *p, struct http_tally *out)
{
	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(p->lock);
	for (struct http_group *g = p->groups; g; g = g->next) {
		const struct http_tally *t = &g->tally;

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
		memset(&g->tally, 0, sizeof(g->tally));
	}
	pthread_mutex_unlock(p->lock);
}
