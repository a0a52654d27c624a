/* mpbench relay - a bad link in front of any UDP server, TFTP's changing ports included; connections pass untouched. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "base/clock.h"
#include "base/num.h"
#include "cmd.h"
#include "peer/relay.h"
#include "result/emit.h"

struct relay_opts {
	const char *listen, *to, *script_out, *script_in, *output;
	bool tftp, json, quiet;
	uint64_t rtt_ns, jitter_ns, seed, idle_ns;
	double loss, dup, reorder;
};

static const struct relay_opts defaults = { .seed = 1, .idle_ns = 60 * NS_PER_SEC };

static const struct opt opts[] = {
	OPT_STRING_ROW('l', "listen", OPT_WHAT, struct relay_opts, listen, "[HOST:]PORT",
		       "where clients come in (127.0.0.1)"),
	OPT_STRING_ROW('t', "to", OPT_WHAT, struct relay_opts, to, "HOST:PORT", "the server"),
	OPT_FLAG_ROW(0, "tftp", OPT_WHAT, struct relay_opts, tftp,
		     "follow the server's port from its first answer on; no TCP"),
	OPT_DURATION_ROW(0, "rtt", OPT_WHAT, struct relay_opts, rtt_ns, "TIME",
			 "round trip, half of it each way", .max = UINT64_C(60000000000)),
	OPT_DURATION_ROW(0, "jitter", OPT_WHAT, struct relay_opts, jitter_ns, "TIME",
			 "and up to so much more, half each way", .max = UINT64_C(60000000000)),
	OPT_DOUBLE_ROW(0, "loss", OPT_WHAT, struct relay_opts, loss, "SHARE",
		       "packets lost, each way"),
	OPT_DOUBLE_ROW(0, "dup", OPT_WHAT, struct relay_opts, dup, "SHARE", "packets doubled"),
	OPT_DOUBLE_ROW(0, "reorder", OPT_WHAT, struct relay_opts, reorder, "SHARE",
		       "packets overtaken"),
	OPT_STRING_ROW(
		0, "script-out", OPT_WHAT, struct relay_opts, script_out, "RULES",
		"fate of single packets to the server, counted in each session: drop:5,20-29 dup:3 swap:6 delay:7=100ms corrupt:4"),
	OPT_STRING_ROW(0, "script-in", OPT_WHAT, struct relay_opts, script_in, "RULES",
		       "of packets to the client"),
	OPT_U64_ROW(0, "seed", OPT_HOW, struct relay_opts, seed, "N", "of everything random"),
	OPT_DURATION_ROW(0, "idle", OPT_WHAT, struct relay_opts, idle_ns, "TIME",
			 "a session ends after so long without a packet", .min = 1000000,
			 .max = UINT64_C(86400000000000)),
	OPT_STRING_ROW('o', "output", OPT_OUT, struct relay_opts, output, "FILE",
		       "write the counts as a result document at the end"),
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct relay_opts, json, "print it instead of the text"),
	OPT_FLAG_ROW('q', "quiet", OPT_OUT, struct relay_opts, quiet,
		     "do not print the counts at the end"),
	OPT_END,
};

static int make_params(const struct relay_opts *o, struct relay_params *p, struct err *e)
{
	struct impair_params way = { .delay_ns = o->rtt_ns / 2,
				     .jitter_ns = o->jitter_ns / 2,
				     .loss_ppm = (uint32_t)(o->loss * 1e6 + 0.5),
				     .dup_ppm = (uint32_t)(o->dup * 1e6 + 0.5),
				     .reorder_ppm = (uint32_t)(o->reorder * 1e6 + 0.5) };

	if (o->loss < 0 || o->loss > 1 || o->dup < 0 || o->dup > 1 || o->reorder < 0 ||
	    o->reorder > 1)
		return err_set(
			e, ERR_USAGE, "usage",
			"--loss, --dup and --reorder are shares from 0 to 1 (or 0%% to 100%%)");
	*p = (struct relay_params){ .tftp = o->tftp,
				    .to_server = way,
				    .to_client = way,
				    .seed = o->seed,
				    .idle_ns = o->idle_ns,
				    .max_sessions = 4096 };
	if (o->script_out && impair_parse_script(&p->to_server, o->script_out, e) < 0)
		return err_wrap(e, "--script-out");
	if (o->script_in && impair_parse_script(&p->to_client, o->script_in, e) < 0)
		return err_wrap(e, "--script-in");
	if (!o->listen || !o->to)
		return err_set(
			e, ERR_USAGE, "usage",
			"--listen and --to are needed (mpbench relay --listen 6969 --to 192.0.2.1:69)");
	if (address_parse("--listen", o->listen, "127.0.0.1", SOCK_DGRAM, &p->listen, e) < 0)
		return -1;
	return address_parse("--to", o->to, NULL, SOCK_DGRAM, &p->target, e);
}

static void print_way(const char *name, const struct relay_way *w)
{
	const struct impair_counts *c = &w->link;

	printf("%s: %" PRIu64 " packets, %" PRIu64 " passed, %" PRIu64 " dropped, %" PRIu64
	       " repeated, %" PRIu64 " reordered, %" PRIu64 " corrupted, %" PRIu64 " held, %" PRIu64
	       " overflowed, %" PRIu64 " overrun, %" PRIu64 " unsent\n",
	       name, c->seen, c->passed, c->dropped, c->repeated, c->reordered, c->corrupted,
	       c->held, c->overflow, w->overrun, w->unsent);
}

static void print_counts(const struct relay_counts *c, bool tcp)
{
	printf("%" PRIu64 " sessions, %" PRIu64 " foreign packets\n", c->sessions, c->foreign);
	print_way("to the server", &c->to_server);
	print_way("to the client", &c->to_client);
	if (tcp)
		printf("TCP: %" PRIu64 " connections, %" PRIu64 " failed, %" PRIu64
		       " refused, %" PRIu64 " bytes to the server, %" PRIu64
		       " bytes to the client\n",
		       c->tcp.connections, c->tcp.failed, c->tcp.refused, c->tcp.bytes_to_server,
		       c->tcp.bytes_to_client);
}

struct row {
	const char *name;
	uint64_t value;
};

static int put_rows(json_t *o, const struct row *row, size_t n, struct err *e)
{
	if (!o)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (json_put(o, row[i].name, json_u64(row[i].value), e) < 0)
			return -1;
	return 0;
}

static int put_way(json_t *parent, const char *name, const struct relay_way *w, struct err *e)
{
	const struct impair_counts *c = &w->link;
	const struct row rows[] = {
		{ "packets", c->seen },	       { "bytes", c->seen_bytes },
		{ "passed", c->passed },       { "passed_bytes", c->passed_bytes },
		{ "dropped", c->dropped },     { "repeated", c->repeated },
		{ "reordered", c->reordered }, { "corrupted", c->corrupted },
		{ "held", c->held },	       { "overflow", c->overflow },
		{ "overrun", w->overrun },     { "unsent", w->unsent },
	};

	return put_rows(json_put_object(parent, name, e), rows, sizeof(rows) / sizeof(rows[0]), e);
}

static int put_counts(json_t *o, const struct relay *r, const struct relay_counts *c, bool tcp,
		      struct err *e)
{
	const struct row own[] = { { "sessions", c->sessions }, { "foreign", c->foreign } };
	const struct row connections[] = {
		{ "connections", c->tcp.connections },
		{ "active", c->tcp.active },
		{ "failed", c->tcp.failed },
		{ "refused", c->tcp.refused },
		{ "bytes_to_server", c->tcp.bytes_to_server },
		{ "bytes_to_client", c->tcp.bytes_to_client },
	};
	char text[80];

	if (json_put(o, "address", json_known_text(addr_format(relay_address(r), text)), e) < 0 ||
	    put_rows(o, own, 2, e) < 0 || put_way(o, "to_server", &c->to_server, e) < 0 ||
	    put_way(o, "to_client", &c->to_client, e) < 0)
		return -1;
	return tcp ? put_rows(json_put_object(o, "tcp", e), connections,
			      sizeof(connections) / sizeof(connections[0]), e)
		   : 0;
}

extern const struct cmd cmd_relay;

static int write_document(const struct relay_opts *o, const struct relay *r,
			  const struct relay_counts *c, char **argv, struct err *e)
{
	CLEANUP(document_done) struct document d = { 0 };
	struct document_head head = { .subcommand = "relay",
				      .table = cmd_relay.table,
				      .options = o };
	struct host host;
	json_t *counts = json_object();

	if (!counts)
		return err_nomem(e);
	host_read(&host, "", false);
	head.host = &host;
	head.argv = cmd_original(argv, &head.argc);
	if (put_counts(counts, r, c, !o->tftp, e) < 0 || document_new(&d, &head, e) < 0) {
		json_decref(counts);
		return -1;
	}
	if (document_add_extension(&d, "relay", counts, e) < 0 ||
	    document_finish(&d, "complete", NULL, e) < 0 ||
	    (o->output && emit_file(d.root, o->output, e) < 0))
		return -1;
	return o->json ? emit_file(d.root, "-", e) : 0;
}

static int run(int argc, char **argv, struct err *e)
{
	struct relay_opts o = defaults;
	CLEANUP(loop_free) struct loop *loop = NULL;
	CLEANUP(relay_close) struct relay *relay = NULL;
	struct relay_params p;
	struct relay_counts counts;
	const char *none[1];
	char text[80];
	enum loop_end why;
	size_t n;
	int rc = cmd_parse(&cmd_relay, argc, argv, &o, none, 0, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (make_params(&o, &p, e) < 0 || loop_new(&loop, e) < 0 ||
	    relay_open(&relay, loop, &p, e) < 0)
		return -1;
	fprintf(stderr, "relay on %s\n", addr_format(relay_address(relay), text));
	if (loop_run(loop, 0, &why, e) < 0)
		return -1;
	relay_counts(relay, &counts);
	if (!o.quiet && !o.json)
		print_counts(&counts, !o.tftp);
	return o.output || o.json ? write_document(&o, relay, &counts, argv, e) : 0;
}

static const char *const examples[] = {
	"mpbench relay --tftp --listen 6969 --to 192.0.2.1:69 --rtt 50ms",
	"any TFTP client over a WAN",
	"mpbench relay --tftp -l 6969 -t 192.0.2.1:69 --script-in drop:5",
	"lose the fifth packet of each transfer",
	"mpbench relay -l 5201 -t 192.0.2.1:5201 --script-out swap:10 -o relay.json",
	"UDP and TCP of one port, two packets exchanged",
	NULL,
};

const struct cmd cmd_relay = {
	.group = CMD_SERVE,
	.name = "relay",
	.operands = "",
	.summary = "a bad link in front of a UDP or TFTP server",
	.about =
		"Passes datagrams on, late, lost, doubled or overtaken as told, from a seed, and TCP connections to the same port untouched; with "
		"--tftp it follows the port that a TFTP server answers from. For clients that cannot impair their own link; bench-tftp can. "
		"Ends at SIGINT or SIGTERM and prints exact counts.",
	.examples = examples,
	.table = opts,
	.defaults = &defaults,
	.run = run,
};
