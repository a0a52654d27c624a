#include "peer/tftp-group.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 64 };

static void release(struct group *base)
{
	struct tftp_group *g = (struct tftp_group *)base;

	dgram_in_done(&g->one);
	dgram_in_done(&g->many);
	dgram_out_done(&g->out);
	free(g->packet);
	g->packet = NULL;
}

static int fill(struct group *base, void *plan, struct err *e)
{
	struct tftp_group *g = (struct tftp_group *)base;
	const struct tftp_plan *p = plan;
	bool window = (p->transfer.ask.set & TFTP_OPT_WINDOWSIZE) != 0;

	g->silent = 0;
	g->packet = malloc(TFTP_PACKET_MAX);
	if (!g->packet)
		return err_nomem(e);
	if (dgram_in_init(&g->one, 1, TFTP_PACKET_MAX, false, e) < 0 ||
	    dgram_out_init(&g->out, SLOTS, true, e) < 0)
		return -1;
	return window ? dgram_in_init(&g->many, SLOTS, TFTP_PACKET_MAX, true, e) : 0;
}

static const struct group_kind kind = { sizeof(struct tftp_group), fill, release };

int tftp_plan_init(struct tftp_plan *p, struct err *e)
{
	return groups_init(&p->groups, &kind, e);
}

void tftp_plan_done(struct tftp_plan *p)
{
	groups_done(&p->groups);
}

int tftp_group_join(struct tftp_plan *p, struct loop *loop, struct tftp_group **out, struct err *e)
{
	struct group *g;
	int rc = groups_join(&p->groups, loop, p, &g, e);

	*out = (struct tftp_group *)g;
	return rc;
}

void tftp_group_leave(struct tftp_plan *p, struct tftp_group *g)
{
	groups_leave(&p->groups, &g->base);
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

static void collect(struct group *base, void *arg)
{
	struct tftp_group *g = (struct tftp_group *)base;

	g->tally.send_calls += g->out.calls;
	g->out.calls = 0;
	tftp_tally_add(arg, &g->tally);
	memset(&g->tally, 0, sizeof(g->tally));
}

void tftp_plan_collect(struct tftp_plan *p, struct tftp_tally *out)
{
	memset(out, 0, sizeof(*out));
	groups_each(&p->groups, collect, out);
}
