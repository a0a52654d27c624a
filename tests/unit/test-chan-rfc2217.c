/* test-chan-rfc2217 - RFC 2217 channels against a server with switches */
#include "rfc2217-fake.h"

#include "io/chan-impl.h"

static struct chan_option option(const struct bench *b, const char *name)
{
	size_t n;
	const struct chan_option *o = chan_options(b->chan, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(o[i].name, name) == 0)
			return o[i];
	fail_msg("%s was not asked", name);
	return (struct chan_option){ 0 };
}

static void begin_ready(struct bench *b, const struct fake *f, struct chan_params p)
{
	bench_begin(b, f->url, p);
	if (b->failed)
		fail_msg("%s", chan_error(b->chan)->msg);
	assert_int_equal(b->connected, 1);
	assert_int_equal(b->ready, 1);
}

static void begin_failed(struct bench *b, const struct fake *f, struct chan_params p,
			 const char *code, const char *why)
{
	bench_begin(b, f->url, p);
	assert_int_equal(b->ready, 0);
	assert_int_equal(b->failed, 1);
	assert_string_equal(chan_error(b->chan)->code, code);
	if (!strstr(chan_error(b->chan)->msg, why))
		fail_msg("\"%s\" is not in: %s", why, chan_error(b->chan)->msg);
}

static void it_opens_and_passes_every_byte(void **state)
{
	static const char every[] = "a\xff\xff"
				    "b\xff\xf0\xff\xfa";
	struct bench b;
	size_t n, answered = 0;
	const struct chan_option *o;

	(void)state;
	for (int split = 0; split < 2; split++) {
		struct fake f = { .split = split };

		fake_start(&f, "?baud=4294967040"); /* ff ff ff 00 */
		begin_ready(&b, &f,
			    (struct chan_params){
				    .set_lines = true, .raise_dtr = true, .purge = true });
		bench_settle(&b);
		assert_string_equal(chan_identity(b.chan, "signature"), "fake");
		assert_null(chan_identity(b.chan, "driver"));
		o = chan_options(b.chan, &n);
		for (size_t i = 0; i < n; i++)
			answered += o[i].answered_ns >= o[i].asked_ns && o[i].answered_ns;
		assert_true(answered >= 10);
		assert_int_equal(option(&b, "baud").answered, UINT32_C(0xffffff00));
		assert_int_equal(f.baud, UINT32_C(0xffffff00));
		bench_send(&b, every, sizeof(every), sizeof(every));
		assert_memory_equal(b.in, every, sizeof(every));
		bench_end(&b);
		fake_end(&f);
	}
}

static void a_cisco_answers_with_one_byte(void **state)
{
	struct fake f = { .cisco = true };
	struct bench b;

	(void)state;
	fake_start(&f, "?baud=9600");
	begin_ready(&b, &f, (struct chan_params){ 0 });
	assert_int_equal(f.baud, 9600);
	assert_int_equal(option(&b, "baud").answered, 9600);
	bench_end(&b);
	fake_end(&f);
}

static void silent_lines_and_purge_are_warnings(void **state)
{
	struct fake f = { .silent_lines = true, .silent = 1U << RFC2217_PURGE_DATA };
	struct bench b;

	(void)state;
	fake_start(&f, "");
	begin_ready(&b, &f, (struct chan_params){ .set_lines = true, .purge = true });
	assert_null(strstr(b.logged, "no answer")); /* ready before they are given up */
	bench_settle(&b);
	assert_non_null(strstr(b.logged, "0 rfc2217-no-answer"));
	assert_non_null(strstr(b.logged, "no answer to dtr, rts, purge-rx, purge-tx within"));
	assert_null(strstr(b.logged, "baud"));
	assert_int_equal(option(&b, "dtr").answered_ns, 0);
	assert_false(option(&b, "dtr").required);
	bench_end(&b);
	fake_end(&f);
}

static void silent_settings_are_an_error(void **state)
{
	static const struct {
		uint32_t silent;
		const char *why;
	} cases[] = {
		{ 1U << RFC2217_SET_BAUDRATE, "no answer to RFC 2217 option baud" },
		{ 1U << RFC2217_SET_PARITY | 1U << RFC2217_SET_STOPSIZE, "parity, stopsize" },
		{ 1U << RFC2217_SET_CONTROL, "option flow" },
	};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake f = { .silent = cases[i].silent };

		fake_start(&f, "");
		begin_failed(&b, &f, (struct chan_params){ .option_timeout_ns = 400 * NS_PER_MS },
			     "timeout", cases[i].why);
		assert_non_null(strstr(chan_error(b.chan)->msg, "within 400 ms"));
		assert_null(strstr(chan_error(b.chan)->msg, "ign_set_control"));
		bench_end(&b);
		fake_end(&f);
	}
}

static void silence_refusal_and_nonsense_fail(void **state)
{
	static const struct {
		struct fake f;
		const char *code, *why;
	} cases[] = {
		{ { .mute = true }, "timeout", "no telnet answer; the server sent nothing" },
		{ { .refuse = true }, "refused", "refuses serial port control" },
		{ { .leave = true }, "closed", "during the RFC 2217 negotiation" },
		{ { .garbage = FAKE_NOISE }, "timeout", "within 400 ms" },
		{ { .garbage = FAKE_OPTIONS }, "timeout", "within 400 ms" },
	};
	struct bench b;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake f = cases[i].f;

		fake_start(&f, "");
		begin_failed(&b, &f, (struct chan_params){ .option_timeout_ns = 400 * NS_PER_MS },
			     cases[i].code, cases[i].why);
		assert_true(chan_pending(b.chan) <= CHAN_QUEUE_MAX);
		bench_end(&b);
		fake_end(&f);
	}
}

static void early_bytes_are_kept(void **state)
{
	enum { EARLY = 200000 };
	char *want = malloc(EARLY);
	struct bench b;

	(void)state;
	assert_non_null(want);
	bench_fill(want, EARLY);
	for (int split = 0; split < 2; split++) {
		struct fake f = { .early = split ? EARLY / 10 : EARLY, .split = split };

		fake_start(&f, "");
		begin_ready(&b, &f, (struct chan_params){ .purge = true });
		b.want = f.early;
		bench_run(&b);
		assert_int_equal(b.n_in, f.early);
		assert_memory_equal(b.in, want, f.early);
		bench_end(&b);
		fake_end(&f);
	}
	free(want);
}

/* More than is kept: it waits in the socket until READY. Where a required answer is behind it, that cannot come. */
static void a_talkative_device_is_held_back_and_nothing_is_lost(void **state)
{
	struct fake f = { .late = BIG };
	char *want = malloc(BIG);
	struct bench b;

	(void)state;
	assert_non_null(want);
	bench_fill(want, BIG);
	fake_start(&f, "");
	begin_ready(&b, &f, (struct chan_params){ .option_timeout_ns = 5 * NS_PER_SEC });
	b.want = BIG;
	if (b.n_in < BIG)
		bench_run(&b);
	assert_int_equal(b.n_in, BIG);
	assert_memory_equal(b.in, want, BIG);
	bench_send(&b, "ping", 4, 4);
	assert_memory_equal(b.in, "ping", 4);
	assert_true(option(&b, "signature").answered_ns > 0); /* late, but it came */
	bench_end(&b);
	fake_end(&f);

	f = (struct fake){ .early = BIG };
	fake_start(&f, "");
	begin_failed(&b, &f, (struct chan_params){ .option_timeout_ns = 1 * NS_PER_SEC }, "timeout",
		     "talks so much that an answer may be behind it");
	bench_end(&b);
	fake_end(&f);
	free(want);
}

static void the_server_can_suspend_what_is_sent(void **state)
{
	struct fake f = { 0 };
	struct bench b;
	struct err e;

	(void)state;
	fake_start(&f, "");
	begin_ready(&b, &f, (struct chan_params){ 0 });
	bench_send(&b, "H", 1, 1);
	assert_memory_equal(b.in, "s", 1);
	assert_int_equal(chan_write(b.chan, "held", 4, &e), 0);
	assert_int_equal(chan_pending(b.chan), 4);
	b.n_in = 0;
	b.want = 4;
	atomic_store(&f.go, true);
	bench_run(&b);
	assert_memory_equal(b.in, "held", 4);
	assert_int_equal(b.drained, 1);
	bench_end(&b);
	fake_end(&f);
	assert_true(f.obeyed);
}

static void a_paused_channel_holds_decoded_bytes(void **state)
{
	struct fake f = { .early = 10 };
	struct bench b;

	(void)state;
	fake_start(&f, "");
	bench_make(&b, f.url, (struct chan_params){ 0 }, false);
	chan_start(b.chan);
	chan_pause(b.chan, true);
	bench_run(&b);
	assert_int_equal(b.ready, 1);
	b.want = 10;
	assert_int_equal(bench_run_for(&b, 30), LOOP_DEADLINE);
	assert_int_equal(b.n_in, 0);
	chan_pause(b.chan, false);
	bench_run(&b);
	assert_int_equal(b.n_in, 10);
	bench_end(&b);
	fake_end(&f);
}

/* The answers to endless questions that are never read fill the queue; then that is the channel's failure. */
static void answers_that_cannot_be_sent_are_a_failure(void **state)
{
	struct fake f = { 0 };
	struct bench b;
	struct err e;
	char *data = calloc(1, CHAN_QUEUE_MAX);

	(void)state;
	assert_non_null(data);
	fake_start(&f, "");
	begin_ready(&b, &f, (struct chan_params){ 0 });
	bench_send(&b, "A", 1, 1); /* suspended from now on */
	while (chan_pending(b.chan) < CHAN_QUEUE_MAX)
		assert_int_equal(
			chan_write(b.chan, data, CHAN_QUEUE_MAX - chan_pending(b.chan), &e), 0);
	atomic_store(&f.go, true);
	bench_run(&b);
	assert_int_equal(b.failed, 1);
	assert_int_equal(b.closed, 0);
	assert_string_equal(chan_error(b.chan)->code, "queue-full");
	assert_int_equal(chan_read(b.chan, b.in, 1), -1);
	bench_end(&b);
	fake_end(&f);
	free(data);
}

static void pyserial_waits_as_documented(void **state)
{
	struct fake f = { 0 };
	struct bench b;
	uint64_t start = clock_now(), ready;

	(void)state;
	fake_start(&f, "");
	begin_ready(&b, &f, (struct chan_params){ .style = &chan_style_pyserial });
	ready = clock_now();
	assert_true(ready - start >= 350 * NS_PER_MS); /* seven sleeps of 50 ms, never less */
	chan_close(b.chan, bench_count_close);
	bench_run(&b);
	assert_int_equal(b.closed, 1);
	assert_true(clock_now() - ready >= 300 * NS_PER_MS);
	bench_end(&b);
	fake_end(&f);
}

static void pyserial_requires_what_ign_set_control_forgives(void **state)
{
	struct chan_params p = { .style = &chan_style_pyserial,
				 .option_timeout_ns = 600 * NS_PER_MS };
	struct bench b;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct fake f = { .silent_lines = i == 0,
				  .silent = i == 1   ? 1U << RFC2217_SET_CONTROL
					    : i == 2 ? 1U << RFC2217_PURGE_DATA
						     : 0 };

		fake_start(&f, "");
		begin_failed(&b, &f, p, "timeout",
			     i == 0   ? "option dtr"
			     : i == 1 ? "option flow"
				      : "option purge-rx");
		assert_true(!strstr(chan_error(b.chan)->msg, "?ign_set_control") == (i == 2));
		bench_end(&b);
		fake_end(&f);
		fake_start(&f, "?ign_set_control");
		if (i == 2)
			begin_failed(&b, &f, p, "timeout", "option purge-rx");
		else
			begin_ready(&b, &f, p);
		bench_end(&b);
		fake_end(&f);
	}
}

static void mpremote_polls_and_lowers_the_lines(void **state)
{
	struct fake f = { 0 };
	struct bench b;
	uint64_t start;

	(void)state;
	fake_start(&f, "");
	begin_ready(&b, &f, (struct chan_params){ .style = &chan_style_mpremote });
	start = clock_now();
	bench_send(&b, "ping", 4, 4);
	assert_true(clock_now() - start >= 10 * NS_PER_MS);
	assert_memory_equal(b.in, "ping", 4);
	start = clock_now();
	chan_close(b.chan, bench_count_close);
	bench_run(&b);
	assert_true(clock_now() - start >= 300 * NS_PER_MS);
	bench_end(&b);
	fake_end(&f);
	assert_true(f.n_control >= 5);
	assert_int_equal(f.control[f.n_control - 2], RFC2217_RTS_OFF);
	assert_int_equal(f.control[f.n_control - 1], RFC2217_DTR_OFF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_and_passes_every_byte),
		cmocka_unit_test(a_cisco_answers_with_one_byte),
		cmocka_unit_test(silent_lines_and_purge_are_warnings),
		cmocka_unit_test(silent_settings_are_an_error),
		cmocka_unit_test(silence_refusal_and_nonsense_fail),
		cmocka_unit_test(early_bytes_are_kept),
		cmocka_unit_test(a_talkative_device_is_held_back_and_nothing_is_lost),
		cmocka_unit_test(the_server_can_suspend_what_is_sent),
		cmocka_unit_test(a_paused_channel_holds_decoded_bytes),
		cmocka_unit_test(answers_that_cannot_be_sent_are_a_failure),
		cmocka_unit_test(pyserial_waits_as_documented),
		cmocka_unit_test(pyserial_requires_what_ign_set_control_forgives),
		cmocka_unit_test(mpremote_polls_and_lowers_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
