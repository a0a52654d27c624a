#include "peer/repl-facts.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

void repl_facts_banner(struct repl_seen *seen, const char *text)
{
	const char *start = strstr(text, "MicroPython");
	CLEANUP(buf_done) struct buf safe = BUF_INIT;

	if (!seen || seen->banner[0])
		return;
	if (!start)
		start = strstr(text, "mpbench");
	if (start && buf_add_safe(&safe, start, strcspn(start, "\r\n")) == 0)
		snprintf(seen->banner, sizeof(seen->banner), "%s", buf_text(&safe));
}

void repl_facts_paste(struct repl_seen *seen, const struct rawrepl *r)
{
	if (!seen)
		return;
	if (r->paste_reply == RAWREPL_PASTE_YES && r->window)
		seen->window = r->window;
	seen->paste = r->paste_reply == RAWREPL_PASTE_YES	? "yes"
		      : r->paste_reply == RAWREPL_PASTE_REFUSED ? "refused"
		      : r->paste_reply == RAWREPL_PASTE_OLD	? "old"
								: seen->paste;
}

static void learn(const struct chan *c, const char *key, char *to, size_t size)
{
	const char *value = chan_identity(c, key);

	if (value && !to[0])
		snprintf(to, size, "%s", value);
}

void repl_facts_channel(struct repl_seen *seen, const struct chan *c)
{
	if (!seen)
		return;
	learn(c, "signature", seen->signature, sizeof(seen->signature));
	learn(c, "latency_timer_ms", seen->latency_timer, sizeof(seen->latency_timer));
	learn(c, "driver", seen->driver, sizeof(seen->driver));
}

/* Adds "NAME=VALUE" for an answered option to one list, "NAME" for a silent one to the other. */
static void list_option(struct repl_seen *seen, const struct chan_option *o)
{
	char *to = o->answered_ns ? seen->options : seen->missing;
	size_t size = o->answered_ns ? sizeof(seen->options) : sizeof(seen->missing);
	size_t used = strlen(to);

	if (o->answered_ns)
		snprintf(to + used, size - used, "%s%s=%u", used ? " " : "", o->name, o->answered);
	else
		snprintf(to + used, size - used, "%s%s", used ? " " : "", o->name);
}

static void record(struct sub_sink *sink, const struct chan_option *o)
{
	static const size_t prefix = sizeof("negotiate.") - 1;

	for (unsigned k = 0; repl_negotiate_subs[k]; k++)
		if (strcmp(repl_negotiate_subs[k] + prefix, o->name) == 0)
			sink->record(sink, k, ns_since(o->asked_ns, o->answered_ns));
}

void repl_facts_options(const struct repl_workload *w, const struct chan *c, struct sub_sink *sink)
{
	struct repl_seen *seen = w->seen;
	bool first = seen && !seen->options[0] && !seen->missing[0];
	const struct chan_option *o;
	size_t n = 0;

	o = chan_options(c, &n);
	for (size_t i = 0; i < n; i++) {
		if (!o[i].asked_ns)
			continue;
		if (first)
			list_option(seen, &o[i]);
		if (sink && w->kind == REPL_NEGOTIATE && o[i].answered_ns)
			record(sink, &o[i]);
	}
	repl_facts_channel(seen, c);
}
