/* test-stream - written at once, queued where the kernel takes no more, told of the end */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "io/spawn.h"
#include "io/stream.h"

enum { MAX = 1 << 20, PIECE = 4096 };

struct fixture {
	struct loop *loop;
	struct stream stream;
	int peer, readable, drained, gone, dead, ends;
	char got[256];
	size_t n_got;
};

static void readable(struct stream *s)
{
	struct fixture *f = CONTAINER_OF(s, struct fixture, stream);
	ssize_t n = stream_read(s, f->got + f->n_got, sizeof(f->got) - f->n_got);

	f->readable++;
	if (n > 0)
		f->n_got += (size_t)n;
	if (n < 0) {
		f->ends++;
		stream_pause(s, true);
	}
}

static void drained(struct stream *s)
{
	CONTAINER_OF(s, struct fixture, stream)->drained++;
}

static void gone(struct stream *s, bool dead)
{
	struct fixture *f = CONTAINER_OF(s, struct fixture, stream);

	f->gone++;
	f->dead += dead;
}

static const struct stream_ops ops = { readable, drained, gone };

static void begin_on(struct fixture *f, int fd, int peer, size_t max)
{
	struct err e;

	*f = (struct fixture){ .peer = peer };
	assert_int_equal(loop_new_fake(&f->loop, NS_PER_SEC, &e), 0);
	assert_int_equal(stream_init(&f->stream, f->loop, fd, max, &ops, &e), 0);
}

static void begin(struct fixture *f, size_t max)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	begin_on(f, pair[0], pair[1], max);
}

static void end(struct fixture *f)
{
	stream_done(&f->stream);
	stream_done(&f->stream);
	loop_free(f->loop);
	if (f->peer >= 0)
		close(f->peer);
}

/* Dispatches what is ready just now. */
static void step(struct fixture *f)
{
	enum loop_end why;
	struct err e;

	assert_int_equal(loop_run(f->loop, loop_now(f->loop), &why, &e), 0);
}

static char piece_byte(size_t at)
{
	return (char)(at * 31 % 251);
}

/* Writes until the queue holds something. Returns how much. */
static size_t fill(struct fixture *f)
{
	char piece[PIECE];
	size_t sent = 0;

	while (stream_pending(&f->stream) == 0) {
		for (size_t i = 0; i < PIECE; i++)
			piece[i] = piece_byte(sent + i);
		assert_int_equal(stream_write(&f->stream, piece, PIECE), 0);
		sent += PIECE;
	}
	return sent;
}

static void small_pieces_go_out_at_once(void **state)
{
	struct fixture f;
	char got[8];

	(void)state;
	begin(&f, MAX);
	assert_int_equal(stream_write(&f.stream, "abc", 3), 0);
	assert_int_equal(read(f.peer, got, sizeof(got)), 3);
	assert_int_equal(stream_pending(&f.stream), 0);
	assert_int_equal(f.stream.writes, 1);
	assert_int_equal(write(f.peer, "xyz", 3), 3);
	step(&f);
	assert_memory_equal(f.got, "xyz", 3);
	assert_int_equal(f.readable, 1);
	assert_int_equal(f.stream.reads, 1);
	end(&f);
}

static void what_the_kernel_does_not_take_is_queued_in_order(void **state)
{
	struct fixture f;
	size_t sent, at = 0;
	char got[PIECE];

	(void)state;
	begin(&f, MAX);
	sent = fill(&f);
	assert_int_equal(f.drained, 0);
	while (at < sent) {
		ssize_t n = read(f.peer, got, sizeof(got));

		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(got[i], piece_byte(at + (size_t)i));
		at += (size_t)n;
		step(&f);
	}
	assert_int_equal(f.drained, 1);
	assert_int_equal(stream_pending(&f.stream), 0);
	end(&f);
}

static void the_queue_is_bounded(void **state)
{
	struct fixture f;
	char piece[PIECE] = { 0 };
	size_t before;

	(void)state;
	begin(&f, 2 * PIECE);
	fill(&f);
	do
		before = stream_pending(&f.stream);
	while (stream_write(&f.stream, piece, PIECE) == 0);
	assert_int_equal(stream_pending(&f.stream), before);
	assert_true(before <= 2 * PIECE);
	assert_false(f.stream.failed);
	stream_drop(&f.stream);
	assert_int_equal(stream_pending(&f.stream), 0);
	end(&f);
}

static void paused_it_reads_nothing_but_hears_of_the_end_once(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, MAX);
	stream_pause(&f.stream, true);
	assert_int_equal(write(f.peer, "abc", 3), 3);
	step(&f);
	assert_int_equal(f.readable, 0);
	assert_false(stream_is_gone(&f.stream));
	shutdown(f.peer, SHUT_WR);
	step(&f);
	step(&f);
	assert_int_equal(f.gone, 1);
	assert_int_equal(f.dead, 0);
	assert_true(stream_is_gone(&f.stream));
	/* what was sent before the end is still there */
	stream_pause(&f.stream, false);
	step(&f);
	assert_memory_equal(f.got, "abc", 3);
	step(&f);
	assert_int_equal(f.ends, 1);
	assert_false(f.stream.failed);
	assert_int_equal(stream_write(&f.stream, "late", 4), 0);
	end(&f);
}

static void a_dead_peer_is_told_as_dead(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, MAX);
	stream_pause(&f.stream, true);
	close(f.peer);
	f.peer = -1;
	step(&f);
	step(&f);
	assert_int_equal(f.gone, 1);
	assert_int_equal(f.dead, 1);
	assert_int_equal(stream_write(&f.stream, "x", 1), -1);
	assert_true(f.stream.failed);
	assert_int_equal(stream_write(&f.stream, "x", 1), -1);
	end(&f);
}

static void a_queue_for_a_dead_peer_is_dropped(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, MAX);
	fill(&f);
	close(f.peer);
	f.peer = -1;
	step(&f);
	assert_int_equal(stream_pending(&f.stream), 0);
	assert_true(f.stream.failed);
	assert_int_equal(f.drained, 1);
	end(&f);
}

static void the_master_of_a_pty_knows_that_nobody_has_it_open(void **state)
{
	struct fixture f;
	int master, slave;
	struct err e;

	(void)state;
	assert_int_equal(pty_open(&master, &slave, NULL, &e), 0);
	begin_on(&f, master, -1, MAX);
	assert_false(stream_is_gone(&f.stream));
	assert_int_equal(write(slave, "last", 4), 4);
	stream_pause(&f.stream, true);
	close(slave);
	assert_true(stream_is_gone(&f.stream));
	stream_pause(&f.stream, false);
	while (!f.ends)
		step(&f);
	assert_memory_equal(f.got, "last", 4);
	end(&f);
}

static void the_descriptor_can_be_taken_back(void **state)
{
	struct fixture f;
	int fd;

	(void)state;
	begin(&f, MAX);
	fd = stream_take(&f.stream);
	assert_true(fd >= 0);
	assert_int_equal(stream_take(&f.stream), -1);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_pieces_go_out_at_once),
		cmocka_unit_test(what_the_kernel_does_not_take_is_queued_in_order),
		cmocka_unit_test(the_queue_is_bounded),
		cmocka_unit_test(paused_it_reads_nothing_but_hears_of_the_end_once),
		cmocka_unit_test(a_dead_peer_is_told_as_dead),
		cmocka_unit_test(a_queue_for_a_dead_peer_is_dropped),
		cmocka_unit_test(the_master_of_a_pty_knows_that_nobody_has_it_open),
		cmocka_unit_test(the_descriptor_can_be_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
