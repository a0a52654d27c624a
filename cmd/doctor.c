/* mpbench doctor - what this machine can do for measurements, and what would help. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/stop.h"
#include "cmd.h"
#include "measure/host.h"
#include "measure/sysfile.h"
#include "measure/tracer.h"
#include "result/emit.h"
#include "result/screen.h"
#include "term.h"

enum { CHECKS_MAX = 40, NOISE_MS = 500, SLOW_CLOCK_NS = 200, OLDEST_MAJOR = 5, OLDEST_MINOR = 19 };

struct doctor_opts {
	bool json;
	int color;
};
static const struct doctor_opts defaults = { .json = false };

/* clang-format off */
static const struct opt table[] = {
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct doctor_opts, json, "print a JSON object"),
	OPT_ENUM_ROW(0, "color", OPT_OUT, struct doctor_opts, color, term_color_names, "colour in the table"),
	OPT_END,
};
/* clang-format on */

/* GOOD, worth knowing, makes numbers worse, and: something of mpbench cannot be done here. */
enum verdict { GOOD, KNOW, POOR, CANNOT };
static const char *const verdict_names[] = { "ok", "note", "poor", "cannot" };

struct check {
	enum verdict verdict;
	const char *name; /* literal */
	char value[256], remedy[512];
};

struct doctor {
	struct check check[CHECKS_MAX];
	size_t n;
};

static struct check *add(struct doctor *d, const char *name, enum verdict verdict,
			 const char *value, const char *remedy)
{
	struct check *c = &d->check[d->n < CHECKS_MAX - 1 ? d->n++ : d->n];

	c->name = name;
	c->verdict = verdict;
	snprintf(c->value, sizeof(c->value), "%s", value);
	snprintf(c->remedy, sizeof(c->remedy), "%s", remedy ? remedy : "");
	return c;
}

static void check_kernel(struct doctor *d)
{
	unsigned major = 0, minor = 0;
	struct utsname u;
	bool new_enough;

	if (uname(&u) < 0)
		return;
	sscanf(u.release, "%u.%u", &major, &minor);
	new_enough = major > OLDEST_MAJOR || (major == OLDEST_MAJOR && minor >= OLDEST_MINOR);
	add(d, "kernel", new_enough ? GOOD : CANNOT, u.release,
	    new_enough ? NULL : "counting system calls needs Linux 5.19 or later");
}

static void check_btf(struct doctor *d)
{
	bool there = access("/sys/kernel/btf/vmlinux", R_OK) == 0;

	add(d, "kernel types (BTF)", there ? GOOD : CANNOT,
	    there ? "/sys/kernel/btf/vmlinux" : "none",
	    there ? NULL : "use a kernel with CONFIG_DEBUG_INFO_BTF=y");
}

static void check_capabilities(struct doctor *d)
{
	static const char *const names[] = { "CAP_SYS_ADMIN", "CAP_PERFMON", "CAP_BPF" };
	static const unsigned bits[] = { 21, 38, 39 };
	char hex[64], text[128] = "none of use";
	unsigned long effective = 0;
	size_t len = 0;

	if (sysfile_value("", "/proc/self/status", "CapEff", hex, sizeof(hex)))
		sscanf(hex, "%lx", &effective);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (effective >> bits[i] & 1)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
						len ? " " : "", names[i]);
	add(d, "capabilities", KNOW, text, NULL);
}

/* Not what should work, but whether it does: the tracer is started. */
static void check_tracer(struct doctor *d)
{
	const struct tracer_params p = { .level = TRACE_ERRORS,
					 .n_targets = 1,
					 .target = { "pids" } };
	CLEANUP(tracer_close) struct tracer *t = NULL;
	CLEANUP_FREE char *program = tracer_find_program();
	struct err e = { 0 };

	add(d, "mpbench-bpf", program ? GOOD : CANNOT, program ? program : "not found",
	    program ? NULL : "build with BPF=1, or install it beside mpbench");
	if (!program)
		return;
	if (tracer_open(&t, &p, &e) < 0) {
		add(d, "counting system calls", CANNOT, "does not work", e.msg);
		return;
	}
	add(d, "counting system calls", GOOD, "works", NULL);
	add(d, "io_uring operations", tracer_sees_uring(t) ? GOOD : KNOW,
	    tracer_sees_uring(t) ? "seen" : "not seen by this kernel",
	    tracer_sees_uring(t) ? NULL
				 : "programs that use io_uring make calls that no count shows");
}

static void check_limits(struct doctor *d)
{
	struct rlimit lim = { 0 };
	char text[64], size[NUM_TEXT_MAX];
	uint64_t value;

	getrlimit(RLIMIT_MEMLOCK, &lim);
	snprintf(text, sizeof(text), "%s",
		 lim.rlim_cur == RLIM_INFINITY ? "unlimited"
					       : num_format_bytes(size, (double)lim.rlim_cur));
	add(d, "RLIMIT_MEMLOCK", KNOW, text, NULL);
	getrlimit(RLIMIT_NOFILE, &lim);
	snprintf(text, sizeof(text), "%lu, up to %lu", (unsigned long)lim.rlim_cur,
		 (unsigned long)lim.rlim_max);
	add(d, "RLIMIT_NOFILE", lim.rlim_max >= 4096 ? GOOD : POOR, text,
	    lim.rlim_max >= 4096 ? NULL : "ulimit -Hn 65536 (as root) for many sessions at once");
	if (sysfile_u64("", "/proc/sys/kernel/unprivileged_bpf_disabled", &value)) {
		snprintf(text, sizeof(text), "%lu", value);
		add(d, "unprivileged_bpf_disabled", KNOW, text, NULL);
	}
	if (sysfile_exists("", "/sys/kernel/tracing/events"))
		add(d, "tracefs", KNOW, "mounted (mpbench does not need it)", NULL);
	else
		add(d, "tracefs", KNOW, "not seen (mpbench does not need it)", NULL);
}

static void check_clock(struct doctor *d, const struct host *h)
{
	bool slow = h->clock.overhead_ns_p50 > SLOW_CLOCK_NS;
	char text[128];

	snprintf(text, sizeof(text), "%s, a reading costs %lu ns, resolution %lu ns",
		 h->clock.source[0] ? h->clock.source : "unknown", h->clock.overhead_ns_p50,
		 h->clock.resolution_ns);
	add(d, "clock", slow ? POOR : GOOD, text,
	    slow ? "choose a faster one: echo tsc | sudo tee "
		   "/sys/devices/system/clocksource/clocksource0/current_clocksource"
		 : NULL);
}

static void check_cpu(struct doctor *d, const struct host *h)
{
	char text[256];
	bool saving = h->governor[0] && strcmp(h->governor, "performance") != 0;

	snprintf(text, sizeof(text), "%.120s, %u logical, %u physical",
		 h->cpu_model[0] ? h->cpu_model : "unknown", h->cpus_logical, h->cpus_physical);
	add(d, "CPU", h->cpus_logical >= 2 ? GOOD : POOR, text,
	    h->cpus_logical >= 2
		    ? NULL
		    : "client and server share one CPU: latencies hold the scheduler's");
	add(d, "governor",
	    saving	     ? POOR
	    : h->governor[0] ? GOOD
			     : KNOW,
	    h->governor[0] ? h->governor : "not told",
	    saving ? "sudo cpupower frequency-set -g performance" : NULL);
	add(d, "SMT", h->smt == 1 ? KNOW : GOOD,
	    h->smt < 0 ? "not told"
	    : h->smt   ? "on"
		       : "off",
	    h->smt == 1 ? "--pin CLIENT,SERVER on different cores, or echo off | sudo tee "
			  "/sys/devices/system/cpu/smt/control"
			: NULL);
	add(d, "turbo", h->turbo == 1 ? KNOW : GOOD,
	    h->turbo < 0 ? "not told"
	    : h->turbo	 ? "on"
			 : "off",
	    h->turbo == 1 ? "runs of different length may differ: longer --settle, or turn it off"
			  : NULL);
	add(d, "virtual machine", strcmp(h->virt, "none") == 0 ? GOOD : KNOW,
	    h->virt[0] ? h->virt : "not told",
	    strcmp(h->virt, "none") == 0 || !h->virt[0]
		    ? NULL
		    : "neighbours may steal time: compare interleaved runs only");
}

static void check_noise(struct doctor *d)
{
	struct pollfd stop = { .fd = stop_fd(), .events = POLLIN };
	struct noise_gauge gauge;
	struct noise noise;
	bool noisy;

	noise_open(&gauge, "");
	poll(&stop, 1, NOISE_MS);
	noise_close(&gauge, "", &noise);
	noisy = strcmp(noise.verdict, "noisy") == 0;
	add(d, "noise in half a second",
	    noisy				  ? POOR
	    : strcmp(noise.verdict, "quiet") == 0 ? GOOD
						  : KNOW,
	    noise.n_reasons ? noise.reasons[0] : noise.verdict,
	    noisy ? "stop other work, or trust only large differences and interleaved runs" : NULL);
}

static bool on_path(const char *name)
{
	const char *places[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
				 "/usr/bin",	    "/sbin",	      "/bin" };
	char path[128];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", places[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static void check_tools(struct doctor *d)
{
	static const char *const names[] = { "micropython", "node",   "mpremote", "ser2net",
					     "atftpd",	    "iperf3", "strace",	  "perf",
					     "setcap",	    "sudo",   "mpirun",	  NULL };
	CLEANUP(buf_done) struct buf found = BUF_INIT, missing = BUF_INIT;

	for (const char *const *n = names; *n; n++) {
		struct buf *to = on_path(*n) ? &found : &missing;

		buf_addf(to, "%s%s", to->len ? " " : "", *n);
	}
	add(d, "programs found", KNOW, found.len ? buf_text(&found) : "none", NULL);
	if (missing.len)
		add(d, "programs not found", KNOW, buf_text(&missing),
		    "none is needed by mpbench itself");
}

static int print_text(const struct doctor *d, const struct doctor_opts *o, struct err *e)
{
	static const enum tone tones[] = { TONE_GOOD, TONE_DIM, TONE_BAD, TONE_BAD };
	CLEANUP(buf_done) struct buf out = BUF_INIT;
	struct table_style style = { .width =
					     term_width(STDOUT_FILENO) - 8, /* behind the verdict */
				     .color =
					     term_color(STDOUT_FILENO, (enum term_color)o->color) };
	struct screen s = { &out, &style };

	for (size_t i = 0; i < d->n; i++) {
		const struct check *c = &d->check[i];
		char head[64];

		screen_left(&s, tones[c->verdict], verdict_names[c->verdict], 8);
		snprintf(head, sizeof(head), "%-26s", c->name);
		screen_wrap(&s, TONE_PLAIN, head, c->value);
		if (c->remedy[0])
			screen_wrap(&s, TONE_DIM, "          -> ", c->remedy);
	}
	return out.failed ? err_nomem(e)
			  : emit_fd(STDOUT_FILENO, buf_text(&out), out.len, "stdout", e);
}

static int print_json(const struct doctor *d, bool able, struct err *e)
{
	CLEANUP(json_decref) json_t *root = json_object();
	json_t *checks;

	if (!root || json_put(root, "able", json_boolean(able), e) < 0)
		return -1;
	checks = json_put_array(root, "checks", e);
	for (size_t i = 0; checks && i < d->n; i++) {
		const struct check *c = &d->check[i];
		json_t *one = json_push_object(checks, e);

		if (!one || json_put(one, "name", json_string(c->name), e) < 0 ||
		    json_put(one, "verdict", json_string(verdict_names[c->verdict]), e) < 0 ||
		    json_put(one, "value", json_outside_text(c->value), e) < 0 ||
		    json_put(one, "remedy", json_known_text(c->remedy), e) < 0)
			return -1;
	}
	return checks ? emit_file(root, "-", e) : -1;
}

extern const struct cmd cmd_doctor;

static int run(int argc, char **argv, struct err *e)
{
	struct doctor_opts o = defaults;
	struct doctor d = { .n = 0 };
	const char *none[1];
	struct host host;
	bool able = true;
	size_t n;
	int rc = cmd_parse(&cmd_doctor, argc, argv, &o, none, 0, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	host_read(&host, "", false);
	check_kernel(&d);
	check_btf(&d);
	check_capabilities(&d);
	check_tracer(&d);
	check_limits(&d);
	check_clock(&d, &host);
	check_cpu(&d, &host);
	check_noise(&d);
	check_tools(&d);
	for (size_t i = 0; i < d.n; i++)
		able &= d.check[i].verdict != CANNOT;
	if ((o.json ? print_json(&d, able, e) : print_text(&d, &o, e)) < 0)
		return -1;
	return able ? 0 : ERR_MACHINE;
}

static const char *const examples[] = {
	"mpbench doctor",
	"one line per thing, with what would help",
	"mpbench doctor --json",
	"the same for programs",
	NULL,
};

const struct cmd cmd_doctor = {
	.group = CMD_MACHINE,
	.name = "doctor",
	.operands = "",
	.summary = "what this machine can do for measurements, and what would help",
	.about =
		"Looks at the kernel, privileges, the tracer (by starting it), clock, CPU, noise and programs. Each line "
		"is ok, note, poor (numbers get worse) or cannot (something does not work), with a remedy. Exit status "
		"0, or 3 when something cannot be done.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
