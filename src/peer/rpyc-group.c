#include "peer/rpyc-group.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *lock_new(void)
{
	pthread_mutex_t *lock = malloc(sizeof(pthread_mutex_t));

	if (lock)
		pthread_mutex_init(lock, NULL);
	return lock;
}

static void lock_free(void *lock)
{
	if (lock)
		pthread_mutex_destroy(lock);
	free(lock);
}

int rpyc_facts_init(struct rpyc_facts *f, struct err *e)
{
	f->lock = lock_new();
	return f->lock ? 0 : err_nomem(e);
}

void rpyc_facts_done(struct rpyc_facts *f)
{
	lock_free(f->lock);
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

int rpyc_plan_init(struct rpyc_plan *p, struct err *e)
{
	p->groups = NULL;
	p->lock = lock_new();
	return p->lock ? 0 : err_nomem(e);
}

void rpyc_plan_done(struct rpyc_plan *p)
{
	while (p->groups) {
		struct rpyc_group *next = p->groups->next;

		http_curl_free(p->groups->curl);
		rpyc_zip_free(p->groups->zip);
		free(p->groups);
		p->groups = next;
	}
	lock_free(p->lock);
	p->lock = NULL;
}

/* The group of that loop; else one that lost its last member, whose counts go on; else a new one. */
static struct rpyc_group *find_group(struct rpyc_plan *p, struct loop *loop)
{
	struct rpyc_group *left = NULL;

	for (struct rpyc_group *g = p->groups; g; g = g->next) {
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

int rpyc_group_join(struct rpyc_plan *p, struct loop *loop, struct rpyc_group **out, struct err *e)
{
	struct rpyc_group *g;
	int rc = 0;

	pthread_mutex_lock(p->lock);
	g = find_group(p, loop);
	if (!g)
		rc = err_nomem(e);
	else if (!g->zip)
		rc = rpyc_zip_new(&g->zip, e);
	if (rc == 0 && p->place && !g->curl)
		rc = http_curl_new(&g->curl, loop, p->sessions, e);
	if (rc == 0) {
		g->members++;
		*out = g;
	}
	pthread_mutex_unlock(p->lock);
	return rc;
}

void rpyc_group_leave(struct rpyc_plan *p, struct rpyc_group *g)
{
	pthread_mutex_lock(p->lock);
	if (--g->members == 0) {
		http_curl_free(g->curl);
		rpyc_zip_free(g->zip);
		g->curl = NULL;
		g->zip = NULL;
	}
	pthread_mutex_unlock(p->lock);
}

void rpyc_plan_collect(struct rpyc_plan *p, struct rpyc_tally *out)
{
	*out = (struct rpyc_tally){ 0 };
	pthread_mutex_lock(p->lock);
	for (struct rpyc_group *g = p->groups; g; g = g->next) {
		struct rpyc_tally *t = &g->tally;

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
	pthread_mutex_unlock(p->lock);
}
