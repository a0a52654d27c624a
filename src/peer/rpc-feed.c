#include "peer/rpc-feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/thread.h"

/* RESERVE is kept free for what tells of losses and ends. */
enum { RESERVE = 64 << 10, LOST_MAX = 256, GATHER_MAX = 256 << 10 };

/* How long the thread lets records gather: to be woken by each would cost the processor what the two sides need. */
static const uint64_t gather_ns = 2 * NS_PER_MS;

static const uint64_t finish_ns = 10 * NS_PER_SEC;

enum { BUSY, IDLE, GATHERING };

struct rpc_feed {
	struct rpc_feed_params p;
	struct relay_tcp_tap tap;
	struct thread *thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	/* under the lock */
	struct buf queue;
	int state;
	bool closing, look;
	_Atomic uint64_t end_ns; /* of decoding; 0 while it is not closing */
	/* the relay's own */
	uint32_t lost[LOST_MAX];
	size_t n_lost;
	/* the thread's own until it is joined */
	struct buf work;
	bool capture_failed;
	struct err failed;
	bool has_failed;
};

static void fail(struct rpc_feed *f, const struct err *e)
{
	if (!f->has_failed)
		f->failed = *e;
	f->has_failed = true;
}

static void write_capture(struct rpc_feed *f, const char *data, size_t len)
{
	struct err e;

	while (len && !f->capture_failed) {
		ssize_t n = write(f->p.capture, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			f->capture_failed = true;
			err_sys(&e, ERR_INTERNAL, "writing the capture");
			fail(f, &e);
			return;
		}
		data += n;
		len -= (size_t)n;
	}
}

/* Too late: its connection is not seen whole. */
static void let_go(struct rpc_feed *f, struct rpc_capture_record *r)
{
	uint64_t end = atomic_load_explicit(&f->end_ns, memory_order_relaxed);

	if (!end || clock_now() < end ||
	    (r->kind != RPC_CAPTURE_TO_SERVER && r->kind != RPC_CAPTURE_TO_CLIENT))
		return;
	*r = (struct rpc_capture_record){ .kind = RPC_CAPTURE_LOST,
					  .connection = r->connection,
					  .ns = r->ns };
}

static void decode(struct rpc_feed *f)
{
	struct rpc_capture_record r;
	size_t at = 0;
	struct err e;

	if (f->p.capture >= 0)
		write_capture(f, buf_text(&f->work), f->work.len);
	while (at < f->work.len && !f->has_failed) {
		int64_t n = rpc_capture_get(&r, f->work.data + at, f->work.len - at, &e);

		if (n > 0)
			let_go(f, &r);
		if (n <= 0 || rpc_tracker_take(f->p.tracker, &r, &e) < 0) {
			fail(f, &e);
			return;
		}
		at += (size_t)n;
	}
	buf_clear(&f->work);
}

static void gather(struct rpc_feed *f)
{
	uint64_t end = clock_now() + gather_ns;
	struct timespec until = { .tv_sec = (time_t)(end / NS_PER_SEC),
				  .tv_nsec = (long)(end % NS_PER_SEC) };
	int rc = 0;

	f->state = GATHERING;
	while (rc == 0 && f->queue.len < GATHER_MAX && !f->closing && !f->look)
		rc = pthread_cond_timedwait(&f->more, &f->lock, &until);
}

static void run(void *arg)
{
	struct rpc_feed *f = arg;
	bool closing = false;

	while (!closing) {
		struct buf swap;
		bool look;

		pthread_mutex_lock(&f->lock);
		while (!f->queue.len && !f->closing && !f->look) {
			f->state = IDLE;
			pthread_cond_wait(&f->more, &f->lock);
		}
		gather(f);
		f->state = BUSY;
		swap = f->queue;
		f->queue = f->work;
		f->work = swap;
		look = f->look;
		f->look = false;
		closing = f->closing && !f->work.len;
		pthread_mutex_unlock(&f->lock);
		if (f->has_failed)
			buf_clear(&f->work);
		decode(f);
		if (look)
			f->p.looked(f->p.ctx, f->p.tracker);
	}
}

static bool is_lost(const struct rpc_feed *f, uint32_t connection)
{
	for (size_t i = 0; i < f->n_lost; i++)
		if (f->lost[i] == connection)
			return true;
	return false;
}

static void forget_lost(struct rpc_feed *f, uint32_t connection)
{
	for (size_t i = 0; i < f->n_lost; i++)
		if (f->lost[i] == connection)
			f->lost[i] = f->lost[--f->n_lost];
}

/* false: the queue is full. */
static bool push(struct rpc_feed *f, const struct rpc_capture_record *r)
{
	size_t reserve = r->len ? RESERVE : 0;
	bool ok;

	pthread_mutex_lock(&f->lock);
	ok = f->queue.len + RPC_CAPTURE_HEAD + r->len + reserve <= RPC_FEED_QUEUE_MAX &&
	     rpc_capture_put(&f->queue, r) == 0;
	if (f->state == IDLE || (f->state == GATHERING && f->queue.len >= GATHER_MAX))
		pthread_cond_signal(&f->more);
	pthread_mutex_unlock(&f->lock);
	return ok;
}

static void opened(void *ctx, uint32_t connection, uint64_t ns)
{
	push(ctx, &(struct rpc_capture_record){
			  .kind = RPC_CAPTURE_OPEN, .connection = connection, .ns = ns });
}

static void bytes(void *ctx, uint32_t connection, bool to_server, uint64_t read_ns,
		  uint64_t sent_ns, const void *data, size_t len)
{
	struct rpc_feed *f = ctx;
	uint64_t delay = sent_ns - read_ns;
	struct rpc_capture_record r = {
		.kind = to_server ? RPC_CAPTURE_TO_SERVER : RPC_CAPTURE_TO_CLIENT,
		.connection = connection,
		.delay_ns = delay > UINT32_MAX ? UINT32_MAX : (uint32_t)delay,
		.ns = read_ns,
		.data = data,
		.len = len
	};

	if ((f->n_lost && is_lost(f, connection)) || push(f, &r))
		return;
	push(f, &(struct rpc_capture_record){
			.kind = RPC_CAPTURE_LOST, .connection = connection, .ns = sent_ns });
	if (f->n_lost < LOST_MAX)
		f->lost[f->n_lost++] = connection;
}

static void ended(void *ctx, uint32_t connection, uint64_t ns)
{
	struct rpc_feed *f = ctx;

	forget_lost(f, connection);
	push(f, &(struct rpc_capture_record){
			.kind = RPC_CAPTURE_END, .connection = connection, .ns = ns });
}

/* Its times are those of clock_now(). */
static void init_condition(pthread_cond_t *c)
{
	pthread_condattr_t how;

	pthread_condattr_init(&how);
	pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
	pthread_cond_init(c, &how);
	pthread_condattr_destroy(&how);
}

int rpc_feed_start(struct rpc_feed **out, const struct rpc_feed_params *p, struct err *e)
{
	struct rpc_feed *f = calloc(1, sizeof(*f));

	if (!f)
		return err_nomem(e);
	f->p = *p;
	f->tap = (struct relay_tcp_tap){ opened, bytes, ended, !p->delayed_acks, f };
	pthread_mutex_init(&f->lock, NULL);
	init_condition(&f->more);
	if (p->capture >= 0)
		write_capture(f, RPC_CAPTURE_MAGIC, RPC_CAPTURE_MAGIC_SIZE);
	if (f->has_failed) {
		*e = f->failed;
		rpc_feed_free(f);
		return -1;
	}
	if (thread_start(&f->thread, "rpc-decoder", -1, run, f, e) < 0) {
		rpc_feed_free(f);
		return -1;
	}
	*out = f;
	return 0;
}

const struct relay_tcp_tap *rpc_feed_tap(struct rpc_feed *f)
{
	return &f->tap;
}

void rpc_feed_look(struct rpc_feed *f)
{
	pthread_mutex_lock(&f->lock);
	f->look = true;
	pthread_cond_signal(&f->more);
	pthread_mutex_unlock(&f->lock);
}

int rpc_feed_finish(struct rpc_feed *f, struct err *e)
{
	if (f->thread) {
		pthread_mutex_lock(&f->lock);
		f->closing = true;
		atomic_store_explicit(&f->end_ns, clock_now() + finish_ns, memory_order_relaxed);
		pthread_cond_signal(&f->more);
		pthread_mutex_unlock(&f->lock);
		thread_join(f->thread);
		f->thread = NULL;
	}
	if (!f->has_failed)
		return 0;
	*e = f->failed;
	return -1;
}

void rpc_feed_free(struct rpc_feed *f)
{
	struct err ignored;

	if (!f)
		return;
	if (rpc_feed_finish(f, &ignored) < 0)
		buf_clear(&f->work);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->more);
	buf_done(&f->queue);
	buf_done(&f->work);
	free(f);
}
