/* mpbench ports - which serial ports this machine has. */
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "result/json.h"
#include "io/ports.h"

extern const struct cmd cmd_ports;

struct ports_opts {
	bool json;
	const char *root;
};

static const struct opt table[] = {
	OPT_FLAG_ROW(0, "json", OPT_OUT, struct ports_opts, json, "print a JSON array"),
	OPT_STRING_ROW(0, "root", OPT_HOW, struct ports_opts, root, "DIR",
		       "read sys and dev below DIR"),
	OPT_END,
};

static const struct ports_opts defaults = { .root = "" };

static const char *const examples[] = {
	"mpbench ports",
	"a table of the serial ports",
	"mpbench ports --json",
	"the same for programs",
	NULL,
};

/* Device text as printable UTF-8; the cut at the end of a row is the reader's. */
static void print_text(const char *text)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	if (buf_add_safe(&b, text, strlen(text)) == 0)
		printf("%s", buf_text(&b));
}

static void print_port(const struct port *p)
{
	printf("%-20s %-12s ", p->name, p->driver[0] ? p->driver : "-");
	if (p->vid[0])
		printf("%s:%s ", p->vid, p->pid);
	else
		printf("%-9s ", "-");
	print_text(p->product[0] ? p->product : p->interface);
	if (p->serial[0]) {
		printf(" #");
		print_text(p->serial);
	}
	if (p->latency_timer_ms >= 0)
		printf(", latency timer %d ms", p->latency_timer_ms);
	printf("\n");
	if (p->by_id[0]) {
		printf("    /dev/serial/by-id/");
		print_text(p->by_id);
		printf("\n");
	}
}

/* 0, or -1 when there is no memory. An empty text is left out. */
static int set_text(json_t *o, const char *key, const char *text)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	if (!text[0])
		return 0;
	if (buf_add_safe(&b, text, strlen(text)) < 0)
		return -1;
	return json_object_set_new(o, key, json_string(buf_text(&b)));
}

static int add_port(json_t *list, const struct port *p)
{
	json_t *o = json_object();

	if (!o || json_array_append_new(list, o) < 0) /* also when that fails, o is released */
		return -1;
	if (set_text(o, "name", p->name) < 0 || set_text(o, "driver", p->driver) < 0 ||
	    set_text(o, "vid", p->vid) < 0 || set_text(o, "pid", p->pid) < 0 ||
	    set_text(o, "manufacturer", p->manufacturer) < 0 ||
	    set_text(o, "product", p->product) < 0 || set_text(o, "serial", p->serial) < 0 ||
	    set_text(o, "interface", p->interface) < 0 || set_text(o, "by_id", p->by_id) < 0)
		return -1;
	if (p->latency_timer_ms < 0)
		return 0;
	return json_object_set_new(o, "latency_timer_ms", json_integer(p->latency_timer_ms));
}

static int print_json(const struct ports *ports, struct err *e)
{
	json_t *list = json_array();
	CLEANUP_FREE char *text = NULL;
	int rc = list ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < ports->n; i++)
		rc = add_port(list, &ports->v[i]);
	if (rc == 0)
		text = json_dumps(list, JSON_INDENT(2));
	json_decref(list);
	if (!text)
		return err_nomem(e);
	printf("%s\n", text);
	return 0;
}

static int run(int argc, char **argv, struct err *e)
{
	struct ports_opts o = defaults;
	CLEANUP(ports_done) struct ports ports = { 0 };
	const char *none[1];
	size_t n;
	int rc = cmd_parse(&cmd_ports, argc, argv, &o, none, 0, &n, e);

	if (rc != 0)
		return rc < 0 ? -1 : 0;
	if (ports_read(&ports, o.root, e) < 0)
		return -1;
	if (o.json)
		return print_json(&ports, e);
	if (ports.n == 0)
		printf("no serial port found\n");
	for (size_t i = 0; i < ports.n; i++)
		print_port(&ports.v[i]);
	return 0;
}

const struct cmd cmd_ports = {
	.group = CMD_MACHINE,
	.name = "ports",
	.operands = "",
	.summary = "list serial ports with their USB identity",
	.about =
		"Lists the serial ports that sysfs knows: driver, USB vendor and product, serial number, "
		"FTDI latency timer and the stable name in /dev/serial/by-id.",
	.examples = examples,
	.table = table,
	.defaults = &defaults,
	.run = run,
};
