/* Sessions against our own server over loopback: sizes, options, ways of waiting, bad links, wrong content. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/dgram.h"
#include "io/thread.h"
#include "peer/tftp-server.h"
#include "peer/tftp-session.h"

static char base[64], up[96];
static struct tftp_server *server;
static struct thread *thread;

static const uint64_t sizes[] = { 0, 1, 511, 512, 513, 1428, 100000, 1 << 20 };

static void serve(void *arg)
{
	struct err e;

	(void)arg;
	if (tftp_server_run(server, &e) < 0)
		abort();
}

static void path_of(char out[160], const char *dir, uint64_t size)
{
	snprintf(out, 160, "%s/f%u", dir, (unsigned)size);
}

static void start_server(unsigned batch, bool single_port, unsigned threads)
{
	struct tftp_server_params p = TFTP_SERVER_DEFAULT;
	struct err e;

	p.root = base;
	p.write_root = up;
	p.overwrite = true;
	p.batch = batch;
	p.single_port = single_port;
	p.threads = threads;
	p.limits.timeout_ns = 200 * NS_PER_MS;
	assert_int_equal(tftp_server_open(&server, &p, &e), 0);
	assert_int_equal(thread_start(&thread, "tftp", -1, serve, NULL, &e), 0);
}

static void stop_server(struct tftp_server_stats *st)
{
	tftp_server_stop(server);
	thread_join(thread);
	tftp_server_stats(server, st);
	tftp_server_close(server);
	server = NULL;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "build/tftp-session-%d", (int)getpid());
	snprintf(up, sizeof(up), "%s/up", base);
	if (mkdir(base, 0700) < 0 || mkdir(up, 0700) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct tftp_content c;
		struct err e;
		char path[160];
		int fd;

		path_of(path, base, sizes[i]);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || tftp_content_make(&c, sizes[i], 5, &e) < 0 ||
		    write(fd, c.bytes, c.size) != (ssize_t)c.size)
			return -1;
		close(fd);
		tftp_content_done(&c);
	}
	return 0;
}

static int tear_down(void **state)
{
	char path[180];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		path_of(path, base, sizes[i]);
		unlink(path);
		path_of(path, up, sizes[i]);
		unlink(path);
		for (int n = 1; n < 20; n++) {
			char numbered[200];

			snprintf(numbered, sizeof(numbered), "%s.%d", path, n);
			unlink(numbered);
		}
	}
	rmdir(up);
	return rmdir(base);
}

static void plan_of(struct tftp_plan *p, const char *file, struct tftp_content *content)
{
	struct err e;

	memset(p, 0, sizeof(*p));
	p->server = *tftp_server_address(server);
	p->transfer = (struct tftp_client_params){
		.file = file, .rollover = -1, .timeout_ns = 200 * NS_PER_MS, .retries = 6
	};
	p->content = content;
	assert_int_equal(tftp_plan_init(p, &e), 0);
}

/* One transfer; returns how it failed. */
static enum tftp_failure fetch(struct tftp_plan *p, struct tftp_tally *t)
{
	struct tftp_client c;
	struct err e;

	assert_int_equal(tftp_fetch(p, 20 * NS_PER_SEC, &c, &e), 0);
	tftp_plan_collect(p, t);
	assert_int_equal(t->transfers, 1);
	return c.failure;
}

static void one_file(uint64_t size, const struct tftp_options *ask, bool alone, enum tftp_mode mode)
{
	struct tftp_content want = { 0 }, got = { .recording = true };
	struct tftp_plan p;
	struct tftp_tally t;
	struct err e;
	char name[32], path[160];
	char sum[2][65];

	snprintf(name, sizeof(name), "f%u", (unsigned)size);
	path_of(path, base, size);
	assert_int_equal(tftp_content_load(&want, path, &e), 0);
	plan_of(&p, name, &got);
	p.transfer.ask = *ask;
	p.transfer.mode = mode;
	p.alone = alone;
	assert_int_equal(fetch(&p, &t), TFTP_OK);
	tftp_content_sha256(&want, sum[0]);
	tftp_content_sha256(&got, sum[1]);
	assert_string_equal(sum[0], sum[1]);
	if (ask->set & TFTP_OPT_BLKSIZE)
		assert_int_equal(t.blksize_min, ask->blksize);
	if (ask->set & TFTP_OPT_WINDOWSIZE)
		assert_int_equal(t.windowsize_max, ask->windowsize);
	assert_int_equal(t.drops, 0);
	assert_int_equal(t.shrunk, 0);
	/* and compared while it comes */
	p.content = &want;
	assert_int_equal(fetch(&p, &t), TFTP_OK);
	if (size) {
		want.bytes[size / 2] ^= 1;
		assert_int_equal(fetch(&p, &t), TFTP_CORRUPT);
		want.bytes[size / 2] ^= 1;
		want.size--;
		assert_int_equal(fetch(&p, &t), TFTP_CORRUPT);
		want.size++;
	}
	want.bytes = realloc(want.bytes, size + 1);
	want.bytes[size] = 1;
	want.size = size + 1;
	assert_int_equal(fetch(&p, &t), TFTP_SHORT);
	/* and put, and read back */
	want.size = size;
	p.transfer.write = true;
	p.transfer.size = size;
	if (mode == TFTP_OCTET)
		assert_int_equal(fetch(&p, &t), TFTP_OK);
	tftp_content_done(&got);
	if (mode == TFTP_OCTET) {
		path_of(path, up, size);
		assert_int_equal(tftp_content_load(&got, path, &e), 0);
		tftp_content_sha256(&got, sum[1]);
		assert_string_equal(sum[0], sum[1]);
		tftp_content_done(&got);
	}
	tftp_plan_done(&p);
	tftp_content_done(&want);
}

static void all_files(unsigned batch, bool single_port, unsigned threads)
{
	static const struct tftp_options asks[] = {
		{ 0 },
		{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_TSIZE, .blksize = 1428 },
		{ .set = TFTP_OPT_WINDOWSIZE, .windowsize = 16 },
		{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_WINDOWSIZE | TFTP_OPT_TIMEOUT,
		  .blksize = 512,
		  .windowsize = 64,
		  .timeout_s = 1 },
		{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_WINDOWSIZE, .blksize = 8192, .windowsize = 8 },
		{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_WINDOWSIZE,
		  .blksize = 65464,
		  .windowsize = 4 },
		{ .set = TFTP_OPT_BLKSIZE | TFTP_OPT_WINDOWSIZE | TFTP_OPT_ROLLOVER,
		  .blksize = 8,
		  .windowsize = 64,
		  .rollover = 1 },
	};
	struct tftp_server_stats st;

	start_server(batch, single_port, threads);
	for (size_t a = 0; a < sizeof(asks) / sizeof(asks[0]); a++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			/* 131,073 blocks: once is enough */
			if (asks[a].blksize == 8 && sizes[i] > 100000 && batch < 64)
				continue;
			one_file(sizes[i], &asks[a], a & 1, TFTP_OCTET);
			one_file(sizes[i], &asks[a], !(a & 1), a == 0 ? TFTP_NETASCII : TFTP_OCTET);
		}
	}
	stop_server(&st);
	assert_int_equal(st.refused, 0);
	if (batch == 1)
		assert_true(st.sent <= st.send_calls);
}

static void test_batched(void **state)
{
	(void)state;
	all_files(64, false, 1);
}

static void test_unbatched(void **state)
{
	(void)state;
	all_files(1, false, 1);
}

static void test_single_port(void **state)
{
	(void)state;
	all_files(64, true, 1);
}

static void test_threads(void **state)
{
	(void)state;
	all_files(16, false, 2);
}

static void test_bad_link(void **state)
{
	static const struct tftp_options ask = { .set = TFTP_OPT_BLKSIZE | TFTP_OPT_WINDOWSIZE,
						 .blksize = 1428,
						 .windowsize = 8 };
	struct tftp_content want;
	struct tftp_plan p;
	struct tftp_tally t;
	struct tftp_server_stats st;
	struct err e;
	char path[160];

	(void)state;
	start_server(64, false, 1);
	path_of(path, base, 100000);
	assert_int_equal(tftp_content_load(&want, path, &e), 0);
	plan_of(&p, "f100000", &want);
	p.transfer.ask = ask;
	p.transfer.timeout_ns = 50 * NS_PER_MS;
	p.out = (struct impair_params){ .delay_ns = NS_PER_MS,
					.loss_ppm = 30000,
					.dup_ppm = 20000 };
	p.in = (struct impair_params){ .loss_ppm = 30000, .dup_ppm = 20000, .reorder_ppm = 20000 };
	for (p.seed = 100; p.seed < 120; p.seed++) {
		assert_int_equal(fetch(&p, &t), TFTP_OK);
		assert_true(t.out.seen > 0 && t.in.seen > 0);
		assert_int_equal(t.in.seen, t.in.passed + t.in.dropped - t.in.repeated);
	}
	p.transfer.write = true;
	p.transfer.size = want.size;
	for (p.seed = 200; p.seed < 210; p.seed++)
		assert_int_equal(fetch(&p, &t), TFTP_OK);
	tftp_plan_done(&p);
	tftp_content_done(&want);
	stop_server(&st);
}

static void test_failures(void **state)
{
	struct tftp_content want = { .recording = true };
	struct tftp_plan p;
	struct tftp_tally t;
	struct tftp_server_stats st;
	struct tftp_client c;
	struct err e;
	char text[128];
	int fd;
	struct addr mute;

	(void)state;
	start_server(64, false, 1);
	plan_of(&p, "missing", &want);
	assert_int_equal(tftp_fetch(&p, NS_PER_SEC, &c, &e), 0);
	assert_string_equal(tftp_client_word(&c), "server-error-1");
	assert_string_equal(tftp_client_describe(&c, text, sizeof(text)),
			    "error 1 (file not found): file not found");
	tftp_plan_collect(&p, &t);
	/* a port that nobody has: told by ICMP, at once, both ways of waiting */
	p.server = *tftp_server_address(server);
	stop_server(&st);
	for (int alone = 0; alone < 2; alone++) {
		p.alone = alone;
		assert_int_equal(fetch(&p, &t), TFTP_UNREACHABLE);
	}
	/* a port that never answers */
	mute = p.server;
	assert_int_equal(dgram_socket(&fd, &mute, true, false, &e), 0);
	p.transfer.timeout_ns = 10 * NS_PER_MS;
	p.transfer.retries = 2;
	for (int alone = 0; alone < 2; alone++) {
		p.alone = alone;
		assert_int_equal(fetch(&p, &t), TFTP_NO_REPLY);
		assert_int_equal(t.timeouts, 3);
	}
	close(fd);
	tftp_plan_done(&p);
	tftp_content_done(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batched),	    cmocka_unit_test(test_unbatched),
		cmocka_unit_test(test_single_port), cmocka_unit_test(test_threads),
		cmocka_unit_test(test_bad_link),    cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
