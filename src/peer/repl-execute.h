/* repl-execute - a session's inside: what it holds, and how it goes through a list of snippets */
#pragma once

#include "peer/repl-facts.h"
#include "peer/repl-output.h"
#include "peer/repl-session.h"
#include "peer/repl-steps.h"

enum { DETAIL_MAX = ERR_MSG_MAX };

struct repl_session {
	struct session s;
	const struct repl_workload *w;
	const struct url *url; /* the target's, or `own` */
	struct url own;	       /* how the builtin device is started */
	bool spawned;
	struct chan_style style;
	struct sub_sink *sink;

	struct chan *chan, *closed_chan; /* a closed one is freed outside its own callback */
	struct rawrepl r;
	bool connected, ready, settled, repl_over, gap_over;

	struct repl_steps program;
	unsigned at;
	bool begun, running, idle;

	const struct repl_snippets *list; /* being executed, NULL: none */
	size_t next;
	struct repl_output output;
	bool respawning, pacing, read_back;
	bool asked_again, tidying; /* STEP_SYNC: answers to several requests may come */

	struct timer timer; /* gap or pace */
	struct timer again; /* STEP_SYNC without an answer */
	struct outcome out;
	char detail[DETAIL_MAX];
};

/* The first failure of an operation is the one that is told; `word` must last. broken: the session cannot go on. */
void repl_fail(struct repl_session *rs, const char *word, const char *detail, bool broken);
/* Sends what the raw REPL's state allows; may fail the operation. */
void repl_send_now(struct repl_session *rs);

/* Begins a list: its first execution starts, if it has one. */
void repl_list_begin(struct repl_session *rs, const struct repl_snippets *list);
/* Begins execution `next` of the list (again, when the device turned raw-paste down). */
void repl_snippet_begin(struct repl_session *rs);
/* An execution ended: judges it, goes on with the next or the read-back that takes a check's place. */
void repl_snippet_over(struct repl_session *rs);
