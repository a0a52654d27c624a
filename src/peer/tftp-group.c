#include "peer/tftp-group.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64 };

int tftp_plan_init(struct tftp_plan *p, struct err *e)
{
	pthread_mutex_t *lock = malloc(sizeof(pthread_mutex_t));

	if (!lock)
		return err_nomem(e);
	pthread_mutex_init(lock, NULL);
	p->lock = lock;
	p->groups = NULL;
	return 0;
}

static void group_release(struct tftp_group *g)
{
	dgram_in_done(&g->one);
	dgram_in_done(&g->many);
	dgram_out_done(&g->out);
	free(g->packet);
	g->packet = NULL;
}

void tftp_plan_done(struct tftp_plan *p)
{
	while (p->groups) {
		struct tftp_group *next = p->groups->next;

		group_release(p->groups);
		free(p->groups);
		p->groups = next;
	}
	if (p->lock)
		pthread_mutex_destroy(p->lock);
	free(p->lock);
	p->lock = NULL;
}

static int group_fill(struct tftp_group *g, const struct tftp_plan *p, struct err *e)
{
	bool window = (p->transfer.ask.set & TFTP_OPT_WINDOWSIZE) != 0;

	g->packet = malloc(TFTP_PACKET_MAX);
	if (!g->packet)
		return err_nomem(e);
	if (dgram_in_init(&g->one, 1, TFTP_PACKET_MAX, false, e) < 0 ||
	    dgram_out_init(&g->out, SLOTS, true, e) < 0)
		return -1;
	return window ? dgram_in_init(&g->many, SLOTS, TFTP_PACKET_MAX, true, e) : 0;
}

/* The group of that loop; else one that lost its last member, whose counts go on; else a new one. */
static struct tftp_group *find_group(struct tftp_plan *p, struct loop *loop)
{
	struct tftp_group *left = NULL;

	for (struct tftp_group *g = p->groups; g; g = g->next) {
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
	left->silent = 0;
	return left;
}

int tftp_group_join(struct tftp_plan *p, struct loop *loop, struct tftp_group **out, struct err *e)
{
	struct tftp_group *g;
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
		else
			group_release(g);
	}
	pthread_mutex_unlock(p->lock);
	*out = g;
	return rc;
}

void tftp_group_leave(struct tftp_plan *p, struct tftp_group *g)
{
	pthread_mutex_lock(p->lock);
	if (--g->members == 0)
		group_release(g);
	pthread_mutex_unlock(p->lock);
}

static void note_range(uint32_t *min, uint32_t *max, uint32_t value)
{
	if (!*min || value < *min)
		*min = value;
	if (value > *max)
		*max = value;
}

void tftp_group_count(struct tftp_group *g, const struct tftp_client *c)
{
	struct tftp_tally *t = &g->tally;
	const struct tftp_options *ask = &c->params->ask;
	unsigned set = c->oack ? c->got.set : 0;

	t->transfers++;
	t->ok += c->state == TFTP_FINISHED;
	t->bytes += tftp_client_bytes(c);
	t->timeouts += c->timeouts;
	t->duplicates += c->rx.duplicates;
	t->gaps += c->rx.gaps;
	t->reacks += c->rx.reacks;
	t->resent += c->tx.resent;
	t->strangers += c->strangers;
	t->malformed += c->malformed;
	if (!c->has_peer || c->failure == TFTP_SERVER_ERROR || c->failure == TFTP_OPTION_REFUSED)
		return;
	t->options_set = t->oacks || t->blksize_min ? t->options_set & set : set;
	t->oacks += c->oack;
	note_range(&t->blksize_min, &t->blksize_max, c->blksize);
	note_range(&t->windowsize_min, &t->windowsize_max, c->windowsize);
	t->shrunk += ((ask->set & TFTP_OPT_BLKSIZE) && c->blksize != ask->blksize) ||
		     ((ask->set & TFTP_OPT_WINDOWSIZE) && c->windowsize != ask->windowsize);
}

void tftp_group_add_impair(struct impair_counts *sum, const struct impair_counts *more,
			   const struct impair_counts *less)
{
	sum->seen += more->seen - less->seen;
	sum->passed += more->passed - less->passed;
	sum->dropped += more->dropped - less->dropped;
	sum->repeated += more->repeated - less->repeated;
	sum->reordered += more->reordered - less->reordered;
	sum->corrupted += more->corrupted - less->corrupted;
	sum->overflow += more->overflow - less->overflow;
}

void tftp_tally_add(struct tftp_tally *sum, const struct tftp_tally *t)
{
	static const struct impair_counts none;

	sum->options_set = sum->blksize_min && t->blksize_min ? sum->options_set & t->options_set
			   : t->blksize_min		      ? t->options_set
							      : sum->options_set;
	sum->transfers += t->transfers;
	sum->ok += t->ok;
	sum->data_packets += t->data_packets;
	sum->ack_packets += t->ack_packets;
	sum->bytes += t->bytes;
	sum->timeouts += t->timeouts;
	sum->duplicates += t->duplicates;
	sum->gaps += t->gaps;
	sum->reacks += t->reacks;
	sum->resent += t->resent;
	sum->strangers += t->strangers;
	sum->malformed += t->malformed;
	sum->oacks += t->oacks;
	sum->shrunk += t->shrunk;
	sum->drops += t->drops;
	sum->receive_calls += t->receive_calls;
	sum->send_calls += t->send_calls;
	sum->joined |= t->joined;
	if (t->blksize_min) {
		note_range(&sum->blksize_min, &sum->blksize_max, t->blksize_min);
		note_range(&sum->blksize_min, &sum->blksize_max, t->blksize_max);
		note_range(&sum->windowsize_min, &sum->windowsize_max, t->windowsize_min);
		note_range(&sum->windowsize_min, &sum->windowsize_max, t->windowsize_max);
	}
	if (t->rcvbuf_wanted > sum->rcvbuf_wanted)
		sum->rcvbuf_wanted = t->rcvbuf_wanted;
	if (t->rcvbuf_min && (!sum->rcvbuf_min || t->rcvbuf_min < sum->rcvbuf_min))
		sum->rcvbuf_min = t->rcvbuf_min;
	tftp_group_add_impair(&sum->out, &t->out, &none);
	tftp_group_add_impair(&sum->in, &t->in, &none);
}

void tftp_plan_collect(struct tftp_plan *p, struct tftp_tally *out)
{
	memset(out, 0, sizeof(*out));
	pthread_mutex_lock(p->lock);
	for (struct tftp_group *g = p->groups; g; g = g->next) {
		g->tally.send_calls += g->out.calls;
		g->out.calls = 0;
		tftp_tally_add(out, &g->tally);
		memset(&g->tally, 0, sizeof(g->tally));
	}
	pthread_mutex_unlock(p->lock);
}
