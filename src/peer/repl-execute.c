#include "peer/repl-execute.h"

#include <string.h>

/* Begins the next execution of the list. */
void repl_snippet_begin(struct repl_session *rs)
{
	const struct repl_snippet *s = &rs->list->v[rs->next];
	bool paste = rs->w->mode != REPL_MODE_RAW && rs->r.paste_reply <= RAWREPL_PASTE_YES;
	int rc;

	repl_output_begin(&rs->output, s);
	if (!paste && rs->w->mode == REPL_MODE_PASTE) {
		repl_fail(rs, "no-raw-paste",
			  "the device has no raw-paste mode: use --mode auto or raw", false);
		return;
	}
	rc = paste ? rawrepl_paste(&rs->r, s->code, s->len) : rawrepl_exec(&rs->r, s->code, s->len);
	if (rc < 0)
		repl_fail(rs, "desync", "the device is not at its raw prompt", true);
	repl_send_now(rs);
}

void repl_list_begin(struct repl_session *rs, const struct repl_snippets *list)
{
	rs->list = list;
	rs->next = 0;
	repl_output_restart(&rs->output, rs->w->job);
	if (list->n)
		repl_snippet_begin(rs);
}

/* A device without hashlib has its file read back instead; later operations begin with that. */
static bool choose_instead(struct repl_session *rs)
{
	struct repl_job *j = rs->w->job;

	if (rs->list != &j->after || !j->instead.n || !strstr(rs->r.line, "ImportError"))
		return false;
	rs->read_back = true;
	repl_list_begin(rs, &j->instead);
	return true;
}

/* An execution ended: judge it, go on with the next. */
void repl_snippet_over(struct repl_session *rs)
{
	const struct repl_snippet *s = &rs->list->v[rs->next];
	const char *verified = rs->list == &rs->w->job->after || rs->list == &rs->w->job->instead
				       ? "corrupt"
				       : "wrong-output";
	const char *why = NULL;

	if (rs->r.stderr_bytes && !s->may_fail) {
		char text[DETAIL_MAX];

		if (choose_instead(rs))
			return;
		rawrepl_quote(text, sizeof(text), rs->r.line, rs->r.line_len);
		repl_fail(rs, "remote-error", text, false);
	} else if (!rs->r.stderr_bytes && repl_output_end(&rs->output, &why) < 0) {
		repl_fail(rs, verified, why, false);
	}
	if (rs->output.has_value) {
		rs->out.value = rs->output.value;
		rs->out.has_value = true;
	}
	if (s->mark >= 0 && s->mark < OUTCOME_MARKS)
		rs->out.mark_ns[s->mark] = loop_now(rs->s.loop);
	rs->next++;
	if (rs->out.failure)
		return;
	if (rs->next < rs->list->n)
		repl_snippet_begin(rs);
	else if (repl_output_complete(&rs->output, &why) < 0)
		repl_fail(rs, "corrupt", why, false);
}
