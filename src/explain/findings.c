#include "explain/findings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "result/view.h"

enum {
	WHERE_TCP = 1,
	WHERE_SERIAL = 2,
	WHERE_PTY = 4,
	WHERE_REMOTE = WHERE_TCP | WHERE_SERIAL,
	WHERE_ANY = 7
};

/* A cause that leaves its mark at a certain latency. `multiples`: the mark may stand several times in a row. `rare`: it
 * is a matter of the tail, a few operations that meet it suffice; the others are met by most operations or by none. */
struct signature {
	const char *code;
	unsigned where;
	uint64_t low_ns, high_ns;
	unsigned multiples;
	bool rare;
	const char *cause, *remedy;
};

/* clang-format off */
static const struct signature signatures[] = {
	{ "delayed-ack", WHERE_TCP, 38000000, 47000000, 1, true,
	  "Nagle's algorithm waits for an acknowledgement that the other side delays by 40 ms",
	  "set TCP_NODELAY where small pieces are written: ser2net accepter tcp(nodelay); a Python client's own socket" },
	{ "chardelay", WHERE_TCP, 3200000, 3900000, 2, false,
	  "ser2net waits for further characters before it sends what the device said",
	  "in ser2net.yaml: options: chardelay: false (together with tcp(nodelay), or the 40 ms wait shows)" },
	{ "sleep-10ms", WHERE_ANY, 9900000, 11900000, 2, false,
	  "a loop on the way sleeps 10 ms whenever it finds nothing to read",
	  "make that reader wait for the event (poll, select, blocking read) instead of sleeping" },
	{ "sleep-50ms", WHERE_ANY, 49500000, 54000000, 8, false,
	  "a loop on the way sleeps 50 ms before it looks for an answer",
	  "wait for the answer's event; pyserial's rfc2217 sleeps so seven times to open a port" },
	{ "latency-timer", WHERE_SERIAL, 15200000, 17500000, 1, false,
	  "an FTDI adapter holds short answers back until its latency timer of 16 ms runs out",
	  "set the port low_latency (?low_latency=1), or write 1 to its latency_timer in sysfs" },
};
/* clang-format on */

enum { SIGNATURES = sizeof(signatures) / sizeof(signatures[0]) };
/* A mark needs this many samples and this share; a rare one must stand far above the usual latency. A busy machine only
 * lengthens a fixed wait: where next to nothing is faster than it, a smaller share suffices. */
enum {
	LEAST_SAMPLES = 5,
	USUAL_PERCENT = 40,
	FLOOR_SAMPLES = 10,
	FLOOR_PERCENT = 20,
	FASTER_PERCENT = 2,
	RARE_PERCENT = 2,
	RARE_FACTOR = 8
};

static unsigned where_of(const json_t *target)
{
	const char *url = view_text(target, "url");

	if (strncmp(url, "socket:", 7) == 0 || strncmp(url, "rfc2217:", 8) == 0)
		return WHERE_TCP;
	if (strncmp(url, "serial:", 7) == 0 || url[0] == '/')
		return WHERE_SERIAL;
	return strncmp(url, "exec:", 5) == 0 ? WHERE_PTY : 0;
}

/* Samples between k*low and k*high for some k up to `multiples`. */
static uint64_t count_in(const struct histogram *h, const struct signature *s)
{
	uint64_t n = 0;

	for (size_t i = h->lowest; h->n && i <= h->highest; i++) {
		uint64_t v = histogram_high(i);

		for (unsigned k = 1; k <= s->multiples; k++) {
			if (v >= k * s->low_ns && v <= k * s->high_ns) {
				n += h->count[i];
				break;
			}
		}
	}
	return n;
}

static uint64_t count_below(const struct histogram *h, uint64_t limit_ns)
{
	uint64_t n = 0;

	for (size_t i = h->lowest; h->n && i <= h->highest; i++)
		n += histogram_high(i) < limit_ns ? h->count[i] : 0;
	return n;
}

static bool is_marked(const struct histogram *h, const struct signature *s, uint64_t n)
{
	uint64_t usual = histogram_percentile(h, 500000);

	if (n < LEAST_SAMPLES)
		return false;
	if (100 * n >= USUAL_PERCENT * h->n)
		return true;
	if (!s->rare && n >= FLOOR_SAMPLES && 100 * n >= FLOOR_PERCENT * h->n &&
	    100 * count_below(h, s->low_ns) <= FASTER_PERCENT * h->n)
		return true;
	return s->rare && 100 * n >= RARE_PERCENT * h->n && usual * RARE_FACTOR <= s->low_ns;
}

static bool is_native(const json_t *target)
{
	const char *style = view_identity(target, "client_style");

	return !style[0] || strcmp(style, "native") == 0;
}

static int add_mark(struct document *d, const json_t *b, const json_t *target, const char *dist,
		    const struct histogram *h, const struct signature *s, uint64_t n, struct err *e)
{
	char evidence[512], low[NUM_TEXT_MAX], high[NUM_TEXT_MAX], median[NUM_TEXT_MAX];
	bool native = is_native(target);

	snprintf(evidence, sizeof(evidence),
		 "%.0f %% of %llu samples of %s lie between %s and %s%s (median %s): %s",
		 100 * (double)n / (double)h->n, (unsigned long long)h->n, dist,
		 num_format_ns(low, (double)s->low_ns), num_format_ns(high, (double)s->high_ns),
		 s->multiples > 1 ? " or a multiple" : "",
		 num_format_ns(median, (double)histogram_percentile(h, 500000)), s->cause);
	if (!native)
		return document_add_finding(
			d, "imitated", view_text(b, "name"), view_text(b, "target"), evidence,
			"the imitated client makes this wait; --client-style native does not", e);
	return document_add_finding(d, s->code, view_text(b, "name"), view_text(b, "target"),
				    evidence, s->remedy, e);
}

static int look_at(struct document *d, const json_t *b, const json_t *target, const char *dist,
		   struct err *e)
{
	CLEANUP(histogram_done) struct histogram h = { 0 };
	unsigned where = where_of(target);

	if (view_histogram(b, dist, &h, e) < 0)
		return -1;
	for (size_t i = 0; i < SIGNATURES && h.n; i++) {
		uint64_t n = signatures[i].where & where ? count_in(&h, &signatures[i]) : 0;

		if (is_marked(&h, &signatures[i], n))
			return add_mark(d, b, target, dist, &h, &signatures[i], n, e);
	}
	return 0;
}

/* The operations whose latency is one exchange: in longer ones (files, whole sessions) a mark would drown or mislead. */
static bool is_exchange(const char *name)
{
	static const char *const names[] = { "repl.connect",  "repl.negotiate", "repl.raw-enter",
					     "repl.raw-exit", "repl.exec",	"repl.print",
					     "repl.eval",     "repl.banner" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Median over the runs; NaN when there is none. */
static double metric_middle(const json_t *b, const char *metric)
{
	double v[256], lowest_left;
	size_t n = view_values(b, metric, v, 256), kept = 0;

	n = n > 256 ? 256 : n;
	for (size_t i = 0; i < n; i++)
		if (!isnan(v[i]))
			v[kept++] = v[i];
	for (size_t i = 0; i < kept; i++)
		for (size_t k = i + 1; k < kept; k++)
			if (v[k] < v[i]) {
				lowest_left = v[k];
				v[k] = v[i];
				v[i] = lowest_left;
			}
	return kept ? (v[(kept - 1) / 2] + v[kept / 2]) / 2 : (double)NAN;
}

static const json_t *reconnect_of(const json_t *all, const char *target, double gap_ms)
{
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *b = json_array_get(all, i);

		if (strcmp(view_text(b, "name"), "repl.reconnect") == 0 &&
		    strcmp(view_text(b, "target"), target) == 0 &&
		    fabs(view_number(json_object_get(b, "params"), "gap_ms") - gap_ms) < 0.5)
			return b;
	}
	return NULL;
}

static bool is_told(const struct document *d, const char *code, const char *target)
{
	const json_t *all = json_object_get(d->root, "findings");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *f = json_array_get(all, i);

		if (strcmp(view_text(f, "code"), code) == 0 &&
		    strcmp(view_text(f, "target"), target) == 0)
			return true;
	}
	return false;
}

/* Deaf for a fixed time after a close: with a gap g the wait is shorter by g. One gap that shows it suffices. */
static int look_for_dead_time(struct document *d, const json_t *all, const json_t *b, struct err *e)
{
	double gap = view_number(json_object_get(b, "params"), "gap_ms");
	const json_t *at_once = reconnect_of(all, view_text(b, "target"), 0);
	double wait0, wait, saved;
	char evidence[256];

	if (strcmp(view_text(b, "name"), "repl.reconnect") != 0 || !(gap >= 50) || !at_once ||
	    is_told(d, "dead-time", view_text(b, "target")))
		return 0;
	wait0 = metric_middle(at_once, "latency.median") / 1e6;
	wait = metric_middle(b, "latency.median") / 1e6;
	saved = wait0 - wait;
	if (isnan(saved) || wait0 < 100 || saved < 0.7 * gap || saved > 1.3 * gap)
		return 0;
	snprintf(
		evidence, sizeof(evidence),
		"a client that comes back at once waits %.0f ms, after a gap of %.0f ms only %.0f ms: the server is deaf "
		"for about %.0f ms after each session",
		wait0, gap, wait, wait0);
	return document_add_finding(
		d, "dead-time", "repl.reconnect", view_text(b, "target"), evidence,
		"look in the server for a thread that sleeps and is joined when a session ends (a status "
		"poller); wake it up instead",
		e);
}

/* Every run's free memory below the one before it. */
static int look_for_leak(struct document *d, const json_t *b, struct err *e)
{
	double v[256], lost;
	size_t n = view_values(b, "mem_free.median", v, 256);
	char evidence[256], bytes[NUM_TEXT_MAX];

	if (strcmp(view_text(b, "name"), "repl.memory") != 0 || n < 4 || n > 256)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (isnan(v[i]) || (i > 0 && v[i] >= v[i - 1]))
			return 0;
	lost = v[0] - v[n - 1];
	snprintf(evidence, sizeof(evidence),
		 "gc.mem_free() after gc.collect() fell in each of %zu runs, by %s in all", n,
		 num_format_bytes(bytes, lost));
	return document_add_finding(
		d, "memory-leak", "repl.memory", view_text(b, "target"), evidence,
		"something on the device keeps references from session to session: globals of the REPL, "
		"open files, an interrupt's buffer",
		e);
}

static int look_for_timer(struct document *d, const json_t *target, struct err *e)
{
	const char *ms = view_identity(target, "latency_timer_ms");
	char evidence[128];

	if (!ms[0] || strcmp(ms, "1") == 0 || strcmp(ms, "0") == 0)
		return 0;
	snprintf(evidence, sizeof(evidence), "the adapter's latency timer is set to %.8s ms", ms);
	return document_add_finding(
		d, "latency-timer", "", view_text(target, "label"), evidence,
		"set the port low_latency (?low_latency=1), or write 1 to its latency_timer in sysfs",
		e);
}

int findings_add(struct document *d, struct err *e)
{
	const json_t *all = json_object_get(d->root, "benchmarks"),
		     *targets = json_object_get(d->root, "targets");

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *b = json_array_get(all, i);
		const json_t *target = view_target(d->root, view_text(b, "target"));

		if (is_exchange(view_text(b, "name")) && look_at(d, b, target, "latency", e) < 0)
			return -1;
		if (look_for_dead_time(d, all, b, e) < 0 || look_for_leak(d, b, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_array_size(targets); i++)
		if (look_for_timer(d, json_array_get(targets, i), e) < 0)
			return -1;
	return 0;
}
