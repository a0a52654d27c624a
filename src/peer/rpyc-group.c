#include "peer/rpyc-group.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int rpyc_facts_init(struct rpyc_facts *f, struct err *e)
{
	f->lock = malloc(sizeof(pthread_mutex_t));
	if (!f->lock)
		return err_nomem(e);
	pthread_mutex_init(f->lock, NULL);
	return 0;
}

void rpyc_facts_done(struct rpyc_facts *f)
{
	if (f->lock)
		pthread_mutex_destroy(f->lock);
	free(f->lock);
	f->lock = NULL;
}

/* Text of a server as one that can be shown and compared. */
static void copy_text(char *out, size_t size, const char *text, size_t len)
{
	size_t n = len < size - 1 ? len : size - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = isgraph((unsigned char)text[i]) ? text[i] : '?';
	out[n] = '\0';
}

const char *rpyc_facts_word(struct rpyc_facts *f, const char *name, size_t len)
{
	char word[sizeof(f->word[0])] = "remote-";
	const char *found = "remote-other";

	copy_text(word + 7, sizeof(word) - 7, name, len);
	pthread_mutex_lock(f->lock);
	for (size_t i = 0; i < RPYC_WORDS_MAX; i++) {
		if (i == f->n_words)
			snprintf(f->word[f->n_words++], sizeof(word), "%s", word);
		if (strcmp(f->word[i], word) == 0) {
			found = f->word[i];
			break;
		}
	}
	pthread_mutex_unlock(f->lock);
	return found;
}

void rpyc_facts_service(struct rpyc_facts *f, enum rpyc_layout layout, const struct rpyc_id *root)
{
	pthread_mutex_lock(f->lock);
	f->layout = layout;
	if (!f->service[0])
		copy_text(f->service, sizeof(f->service), root->name, root->name_len);
	pthread_mutex_unlock(f->lock);
}

void rpyc_facts_version(struct rpyc_facts *f, const char *text, size_t len)
{
	pthread_mutex_lock(f->lock);
	if (!f->version[0])
		copy_text(f->version, sizeof(f->version), text, len);
	pthread_mutex_unlock(f->lock);
}

enum rpyc_layout rpyc_facts_layout(struct rpyc_facts *f)
{
	enum rpyc_layout layout;

	pthread_mutex_lock(f->lock);
	layout = f->layout;
	pthread_mutex_unlock(f->lock);
	return layout;
}

static void release(struct group *base)
{
	struct rpyc_group *g = (struct rpyc_group *)base;

	http_curl_free(g->curl);
	rpyc_zip_free(g->zip);
	g->curl = NULL;
	g->zip = NULL;
}

static int fill(struct group *base, void *plan, struct err *e)
{
	struct rpyc_group *g = (struct rpyc_group *)base;
	const struct rpyc_plan *p = plan;

	if (rpyc_zip_new(&g->zip, e) < 0)
		return -1;
	return p->place ? http_curl_new(&g->curl, base->loop, p->sessions, e) : 0;
}

static const struct group_kind kind = { sizeof(struct rpyc_group), fill, release };

int rpyc_plan_init(struct rpyc_plan *p, struct err *e)
{
	return groups_init(&p->groups, &kind, e);
}

void rpyc_plan_done(struct rpyc_plan *p)
{
	groups_done(&p->groups);
}

int rpyc_group_join(struct rpyc_plan *p, struct loop *loop, struct rpyc_group **out, struct err *e)
{
	struct group *g;
	int rc = groups_join(&p->groups, loop, p, &g, e);

	*out = (struct rpyc_group *)g;
	return rc;
}

void rpyc_group_leave(struct rpyc_plan *p, struct rpyc_group *g)
{
	groups_leave(&p->groups, &g->base);
}

static void collect(struct group *base, void *arg)
{
	struct rpyc_tally *t = &((struct rpyc_group *)base)->tally, *out = arg;

	out->requests += t->requests;
	out->round_trips += t->round_trips;
	out->opened += t->opened;
	out->reused += t->reused;
	out->sent_bytes += t->sent_bytes;
	out->received_bytes += t->received_bytes;
	out->stalls += t->stalls;
	out->compressed += t->compressed;
	out->refs_received += t->refs_received;
	out->refs_released += t->refs_released;
	out->exceptions += t->exceptions;
	out->served += t->served;
	*t = (struct rpyc_tally){ 0 };
}

void rpyc_plan_collect(struct rpyc_plan *p, struct rpyc_tally *out)
{
	*out = (struct rpyc_tally){ 0 };
	groups_each(&p->groups, collect, out);
}
