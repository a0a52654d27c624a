/* How the builtin device is started: mpbench itself on the other end of a pty. */
#include <string.h>
#include <unistd.h>

#include <stdio.h>

#include "base/buf.h"
#include "base/opt.h"
#include "peer/repl-device.h"
#include "peer/repl-session.h"

enum { SELF_MAX = 4096 };

/* As one word: a value may hold blanks (a file name), and quotes and backslashes of its own. */
static void add_option(struct buf *text, const struct url_param *p)
{
	buf_addf(text, " \"--%s%s", p->key, p->value[0] ? "=" : "");
	for (const char *c = p->value; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_addc(text, '\\');
		buf_addc(text, *c);
	}
	buf_addc(text, '"');
}

/* The device would tell only its own end; a query that it cannot take is the caller's mistake. */
static int check_query(const struct url *u, struct err *e)
{
	struct repl_device_params scratch = REPL_DEVICE_DEFAULT;
	char word[SELF_MAX];
	char *argv[] = { word, word, NULL };
	struct opt_parse p = { .table = repl_device_opts, .base = &scratch };

	for (size_t i = 0; i < u->n_query; i++) {
		const struct url_param *q = &u->query[i];

		snprintf(word, sizeof(word), "--%s%s%s", q->key, q->value[0] ? "=" : "", q->value);
		if (opt_parse(&p, 2, argv, e) < 0)
			return err_wrap(e, "%s", u->shown);
	}
	return 0;
}

int repl_builtin_url(struct url *out, const struct url *u, struct err *e)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;
	char self[SELF_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (check_query(u, e) < 0)
		return -1;
	if (n <= 0)
		return err_sys(e, ERR_MACHINE, "the builtin device needs /proc/self/exe");
	self[n] = '\0';
	buf_addf(&text, "exec:\"%s\" serve-repl", self);
	for (size_t i = 0; i < u->n_query; i++)
		add_option(&text, &u->query[i]);
	if (text.failed)
		return err_nomem(e);
	return url_parse(out, buf_text(&text), e);
}
