#include "io/impair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"

/* One wake-up lets out all that is due so soon: a wake-up per packet would cost more than this error. */
enum { TOGETHER_NS = 60000, REORDER_NS = 1000000 };

struct held {
	uint64_t due_ns, order;
	struct addr to;
	bool has_to;
	size_t len;
	uint8_t bytes[];
};

struct impair {
	struct loop *loop;
	struct impair_params params;
	uint64_t state; /* of the generator */
	impair_emit *emit;
	void *ctx;
	struct timer timer;
	struct held **heap; /* earliest first */
	size_t n, cap, bytes;
	struct held **kept; /* to be passed by the next packet, in their order */
	size_t n_kept, cap_kept;
	uint64_t order, last_due_ns, idle_ns; /* idle_ns: when the line has sent what it has */
	struct impair_counts counts;
};

bool impair_is_on(const struct impair_params *p)
{
	return p->delay_ns || p->jitter_ns || p->loss_ppm || p->dup_ppm || p->reorder_ppm ||
	       p->rate_bps || p->n_rules;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(struct impair *i)
{
	uint64_t z = (i->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

int impair_new(struct impair **out, struct loop *l, const struct impair_params *p, uint64_t seed,
	       impair_emit *emit, void *ctx, struct err *e)
{
	struct impair *i = calloc(1, sizeof(*i));

	if (!i)
		return err_nomem(e);
	i->loop = l;
	i->params = *p;
	i->state = seed;
	i->emit = emit;
	i->ctx = ctx;
	*out = i;
	return 0;
}

static bool earlier(const struct held *a, const struct held *b)
{
	return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void sift_up(struct impair *i, size_t at)
{
	while (at > 0 && earlier(i->heap[at], i->heap[(at - 1) / 2])) {
		struct held *swap = i->heap[at];

		i->heap[at] = i->heap[(at - 1) / 2];
		i->heap[(at - 1) / 2] = swap;
		at = (at - 1) / 2;
	}
}

static void sift_down(struct impair *i, size_t at)
{
	for (;;) {
		size_t best = at;
		struct held *swap;

		for (size_t k = 2 * at + 1; k <= 2 * at + 2 && k < i->n; k++) {
			if (earlier(i->heap[k], i->heap[best]))
				best = k;
		}
		if (best == at)
			return;
		swap = i->heap[at];
		i->heap[at] = i->heap[best];
		i->heap[best] = swap;
		at = best;
	}
}

static struct held *pop(struct impair *i)
{
	struct held *h = i->heap[0];

	i->heap[0] = i->heap[--i->n];
	sift_down(i, 0);
	i->bytes -= h->len;
	return h;
}

static void release(struct impair *i, struct held *h)
{
	i->counts.passed++;
	i->counts.passed_bytes += h->len;
	i->counts.held--;
	i->emit(i->ctx, h->has_to ? &h->to : NULL, h->bytes, h->len);
	free(h);
}

static void fired(struct timer *t, uint64_t now)
{
	struct impair *i = CONTAINER_OF(t, struct impair, timer);

	while (i->n && i->heap[0]->due_ns <= now + TOGETHER_NS)
		release(i, pop(i));
	if (i->n && !timer_is_set(&i->timer))
		timer_set(i->loop, &i->timer, i->heap[0]->due_ns, fired);
}

static bool make_room(struct held ***list, size_t n, size_t *cap)
{
	struct held **more;
	size_t twice = *cap ? 2 * *cap : 64;

	if (n < *cap)
		return true;
	more = realloc(*list, twice * sizeof(struct held *));
	if (!more)
		return false;
	*list = more;
	*cap = twice;
	return true;
}

static struct held *copy_of(struct impair *i, const struct addr *to, const void *bytes, size_t len,
			    bool spoil)
{
	struct held *h = i->bytes + len <= IMPAIR_HELD_MAX ? malloc(sizeof(*h) + len) : NULL;

	if (!h)
		return NULL;
	h->order = i->order++;
	h->has_to = to != NULL;
	if (to)
		h->to = *to;
	h->len = len;
	memcpy(h->bytes, bytes, len);
	if (spoil && len)
		h->bytes[len - 1] ^= 0x20;
	return h;
}

static void hold(struct impair *i, const struct addr *to, const void *bytes, size_t len,
		 uint64_t due_ns, bool spoil)
{
	struct held *h =
		make_room(&i->heap, i->n, &i->cap) ? copy_of(i, to, bytes, len, spoil) : NULL;

	if (!h) {
		i->counts.overflow++;
		return;
	}
	h->due_ns = due_ns;
	i->counts.held++;
	i->bytes += len;
	i->heap[i->n++] = h;
	sift_up(i, i->n - 1);
	if (i->heap[0] == h)
		timer_set(i->loop, &i->timer, due_ns, fired);
}

static void keep(struct impair *i, const struct addr *to, const void *bytes, size_t len, bool spoil)
{
	struct held *h = make_room(&i->kept, i->n_kept, &i->cap_kept)
				 ? copy_of(i, to, bytes, len, spoil)
				 : NULL;

	if (!h) {
		i->counts.overflow++;
		return;
	}
	i->counts.held++;
	i->bytes += len;
	i->kept[i->n_kept++] = h;
}

/* What the dice and the script make of one packet. */
struct fate {
	bool drop, dup, spoil, late, swap;
	uint64_t extra_ns, jitter_ns;
};

static struct fate decide(struct impair *i)
{
	const struct impair_params *p = &i->params;
	struct fate f = { 0 };

	/* each packet takes the same number of draws, so that one probability does not shift the others' sequences */
	f.drop = draw(i) % 1000000 < p->loss_ppm;
	f.dup = draw(i) % 1000000 < p->dup_ppm;
	f.late = draw(i) % 1000000 < p->reorder_ppm;
	f.jitter_ns = p->jitter_ns ? draw(i) % (p->jitter_ns + 1) : 0;
	if (f.late)
		f.extra_ns = p->reorder_ns ? p->reorder_ns : REORDER_NS;
	for (size_t k = 0; k < p->n_rules; k++) {
		const struct impair_rule *r = &p->rule[k];

		if (i->counts.seen < r->packet || i->counts.seen > r->last)
			continue;
		f.drop |= r->action == IMPAIR_DROP;
		f.dup |= r->action == IMPAIR_DUP;
		f.spoil |= r->action == IMPAIR_CORRUPT;
		f.swap |= r->action == IMPAIR_SWAP;
		if (r->action == IMPAIR_DELAY)
			f.extra_ns += r->delay_ns;
	}
	return f;
}

/* When a packet that enters now has been put on the line. */
static uint64_t on_the_line(struct impair *i, size_t len)
{
	uint64_t now = loop_now(i->loop);

	if (!i->params.rate_bps)
		return now;
	i->idle_ns = (i->idle_ns > now ? i->idle_ns : now) +
		     (uint64_t)len * 8 * NS_PER_SEC / i->params.rate_bps;
	return i->idle_ns;
}

static void pass(struct impair *i, const struct addr *to, const void *bytes, size_t len,
		 const struct fate *f)
{
	const struct impair_params *p = &i->params;
	uint64_t due;

	if (!p->delay_ns && !p->rate_bps && !f->jitter_ns && !f->extra_ns && !f->spoil && !i->n) {
		i->counts.passed++;
		i->counts.passed_bytes += len;
		i->emit(i->ctx, to, bytes, len);
		return;
	}
	due = on_the_line(i, len) + p->delay_ns + f->jitter_ns + f->extra_ns;
	/* jitter stretches the distances, it does not change the order; being late does */
	if (!f->extra_ns) {
		due = due > i->last_due_ns ? due : i->last_due_ns;
		i->last_due_ns = due;
	}
	hold(i, to, bytes, len, due, f->spoil);
}

/* Those that waited to be overtaken follow, as if they had entered only now. */
static void pass_kept(struct impair *i)
{
	static const struct fate plain;

	for (size_t k = 0; k < i->n_kept; k++) {
		struct held *h = i->kept[k];

		i->counts.held--;
		i->bytes -= h->len;
		pass(i, h->has_to ? &h->to : NULL, h->bytes, h->len, &plain);
		free(h);
	}
	i->n_kept = 0;
}

void impair_put(struct impair *i, const struct addr *to, const void *bytes, size_t len)
{
	struct fate f;

	i->counts.seen++;
	i->counts.seen_bytes += len;
	f = decide(i);
	if (f.drop) {
		i->counts.dropped++;
		return;
	}
	i->counts.reordered += f.extra_ns != 0 || f.swap;
	i->counts.corrupted += f.spoil;
	i->counts.repeated += f.dup;
	for (int k = 0; k <= f.dup; k++) {
		if (f.swap)
			keep(i, to, bytes, len, f.spoil);
		else
			pass(i, to, bytes, len, &f);
	}
	if (!f.swap)
		pass_kept(i);
}

void impair_flush(struct impair *i)
{
	while (i->n)
		release(i, pop(i));
	for (size_t k = 0; k < i->n_kept; k++) {
		i->bytes -= i->kept[k]->len;
		release(i, i->kept[k]);
	}
	i->n_kept = 0;
	timer_cancel(i->loop, &i->timer);
}

const struct impair_counts *impair_counts(const struct impair *i)
{
	return &i->counts;
}

void impair_add_counts(struct impair_counts *sum, const struct impair_counts *more)
{
	sum->seen += more->seen;
	sum->passed += more->passed;
	sum->dropped += more->dropped;
	sum->repeated += more->repeated;
	sum->reordered += more->reordered;
	sum->corrupted += more->corrupted;
	sum->held += more->held;
	sum->overflow += more->overflow;
	sum->seen_bytes += more->seen_bytes;
	sum->passed_bytes += more->passed_bytes;
}

void impair_free(struct impair *i)
{
	if (!i)
		return;
	timer_cancel(i->loop, &i->timer);
	while (i->n)
		free(pop(i));
	for (size_t k = 0; k < i->n_kept; k++)
		free(i->kept[k]);
	free(i->kept);
	free(i->heap);
	free(i);
}

static int bad_script(const char *word, struct err *e)
{
	return err_set(
		e, ERR_USAGE, "script",
		"'%s' is no packet script; an example: drop:5,9,20-29 dup:3 swap:6 delay:7=100ms corrupt:4",
		word);
}

static int add_rule(struct impair_params *p, enum impair_action action, char *item, struct err *e)
{
	struct impair_rule r = { .action = action };
	char *equals = action == IMPAIR_DELAY ? strchr(item, '=') : NULL;
	char *dash = strchr(item, '-');

	if (equals)
		*equals++ = '\0';
	if (action == IMPAIR_DELAY && (!equals || num_parse_duration(equals, &r.delay_ns, e) < 0))
		return bad_script(item, e);
	if (dash && (!equals || dash < equals))
		*dash++ = '\0';
	else
		dash = NULL;
	if (num_parse_u64(item, &r.packet, e) < 0 || r.packet == 0 ||
	    num_parse_u64(dash ? dash : item, &r.last, e) < 0 || r.last < r.packet)
		return bad_script(item, e);
	if (p->n_rules == IMPAIR_RULES_MAX)
		return err_set(e, ERR_USAGE, "script", "more than %d rules in a packet script",
			       IMPAIR_RULES_MAX);
	p->rule[p->n_rules++] = r;
	return 0;
}

static int parse_word(struct impair_params *p, char *word, struct err *e)
{
	static const char *const names[] = { "drop", "dup", "delay", "corrupt", "swap" };
	char *colon = strchr(word, ':'), *save = NULL;

	if (!colon || !colon[1])
		return bad_script(word, e);
	*colon = '\0';
	for (unsigned a = 0; a < sizeof(names) / sizeof(names[0]); a++) {
		if (strcmp(word, names[a]) != 0)
			continue;
		for (char *item = strtok_r(colon + 1, ",", &save); item;
		     item = strtok_r(NULL, ",", &save)) {
			if (add_rule(p, (enum impair_action)a, item, e) < 0)
				return -1;
		}
		return 0;
	}
	return bad_script(word, e);
}

int impair_parse_script(struct impair_params *p, const char *text, struct err *e)
{
	CLEANUP_FREE char *copy = strdup(text);
	char *save = NULL;

	if (!copy)
		return err_nomem(e);
	for (char *word = strtok_r(copy, " ;", &save); word; word = strtok_r(NULL, " ;", &save)) {
		if (parse_word(p, word, e) < 0)
			return -1;
	}
	return 0;
}
