#include "peer/group.h"

#include <pthread.h>
#include <stdlib.h>

int groups_init(struct groups *all, const struct group_kind *kind, struct err *e)
{
	pthread_mutex_t *lock = malloc(sizeof(pthread_mutex_t));

	if (!lock)
		return err_nomem(e);
	pthread_mutex_init(lock, NULL);
	*all = (struct groups){ .kind = kind, .lock = lock };
	return 0;
}

void groups_done(struct groups *all)
{
	while (all->first) {
		struct group *next = all->first->next;

		all->kind->release(all->first);
		free(all->first);
		all->first = next;
	}
	if (all->lock)
		pthread_mutex_destroy(all->lock);
	free(all->lock);
	all->lock = NULL;
}

/* The group of that loop; else one that lost its last member, whose counts go on; else a new one. */
static struct group *find(struct groups *all, struct loop *loop)
{
	struct group *left = NULL;

	for (struct group *g = all->first; g; g = g->next) {
		if (g->members && g->loop == loop)
			return g;
		if (!g->members)
			left = g;
	}
	if (!left) {
		left = calloc(1, all->kind->size);
		if (!left)
			return NULL;
		left->next = all->first;
		all->first = left;
	}
	left->loop = loop;
	return left;
}

int groups_join(struct groups *all, struct loop *loop, void *plan, struct group **out,
		struct err *e)
{
	struct group *g;
	int rc = 0;

	pthread_mutex_lock(all->lock);
	g = find(all, loop);
	if (!g)
		rc = err_nomem(e);
	else if (g->members == 0)
		rc = all->kind->fill(g, plan, e);
	if (rc == 0)
		g->members++;
	else if (g)
		all->kind->release(g);
	pthread_mutex_unlock(all->lock);
	*out = rc == 0 ? g : NULL;
	return rc;
}

void groups_leave(struct groups *all, struct group *g)
{
	pthread_mutex_lock(all->lock);
	if (--g->members == 0)
		all->kind->release(g);
	pthread_mutex_unlock(all->lock);
}

void groups_each(struct groups *all, void (*visit)(struct group *g, void *arg), void *arg)
{
	pthread_mutex_lock(all->lock);
	for (struct group *g = all->first; g; g = g->next)
		visit(g, arg);
	pthread_mutex_unlock(all->lock);
}
