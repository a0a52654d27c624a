/* repl-facts - what sessions learn of a device and its server, for the document's targets[].identity */
#pragma once

#include "peer/repl-session.h"

/* All accept seen == NULL; a fact that is there already stays. Outside text is made printable. */

/* The line of a banner in the text before a prompt. */
void repl_facts_banner(struct repl_seen *seen, const char *text);
/* Raw-paste: the device's answer and its window. */
void repl_facts_paste(struct repl_seen *seen, const struct rawrepl *r);
/* Signature of an RFC 2217 server, driver and latency timer of a port. */
void repl_facts_channel(struct repl_seen *seen, const struct chan *c);
/* Which RFC 2217 options were answered, and how; how long each answer took goes to the sink in REPL_NEGOTIATE. */
void repl_facts_options(const struct repl_workload *w, const struct chan *c, struct sub_sink *sink);
