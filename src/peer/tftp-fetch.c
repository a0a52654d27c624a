#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "peer/tftp-session.h"

const char *tftp_client_word(const struct tftp_client *c)
{
	static const char *const codes[] = { "server-error-0", "server-error-1", "server-error-2",
					     "server-error-3", "server-error-4", "server-error-5",
					     "server-error-6", "server-error-7", "server-error-8" };

	if (c->failure == TFTP_SERVER_ERROR)
		return c->code < sizeof(codes) / sizeof(codes[0]) ? codes[c->code]
								  : "server-error-other";
	return tftp_failure_word(c->failure);
}

char *tftp_client_describe(const struct tftp_client *c, char *out, size_t size)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;

	if (buf_add_safe(&text, c->text, strlen(c->text)) < 0)
		buf_clear(&text);
	if (c->failure == TFTP_SERVER_ERROR ||
	    (c->failure == TFTP_OPTION_REFUSED && c->code == TFTP_E_OPTION))
		snprintf(out, size, "error %u (%s): %s", c->code, tftp_code_text(c->code),
			 buf_text(&text));
	else
		snprintf(out, size, "%s", buf_text(&text));
	return out;
}

/* A single transfer's end: kept, and the loop stopped. */
struct fetched {
	struct session *session;
	bool over;
};

static void fetched(struct session *s, struct outcome *o)
{
	struct fetched *f = s->owner;

	(void)o;
	f->over = true;
	loop_stop(s->loop);
}

int tftp_fetch(struct tftp_plan *p, uint64_t limit_ns, struct tftp_client *out, struct err *e)
{
	CLEANUP(loop_free) struct loop *loop = NULL;
	struct fetched f = { 0 };
	enum loop_end why = LOOP_STOPPED;
	int rc = 0;

	if (loop_new(&loop, e) < 0 || tftp_session_new(p, loop, 0, NULL, &f.session, e) < 0)
		return -1;
	f.session->done = fetched;
	f.session->owner = &f;
	f.session->ops->start(f.session);
	while (rc == 0 && !f.over && why == LOOP_STOPPED)
		rc = loop_run(loop, loop_now(loop) + limit_ns, &why, e);
	if (rc == 0 && !f.over)
		f.session->ops->cancel(f.session);
	*out = *tftp_session_client(f.session);
	f.session->ops->free(f.session);
	return rc;
}
