#include "tftp-prepare.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { READ_BACK_TRIES = 20 };

static bool is_sha256(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

/* The reference of a file that the operand names; made here so that it is known before the first transfer. */
static struct tftp_reference *operand_reference(struct tftp_target *t)
{
	struct tftp_reference *r = &t->reference[0];
	const char *path = t->url->path;

	t->n_references = 1;
	snprintf(r->file, sizeof(r->file), "%s", *path == '/' ? path + 1 : path);
	return r;
}

static int expect_file(struct tftp_reference *r, const char *directory, const char *file,
		       struct err *e)
{
	char path[1024];
	const char *slash = strrchr(r->file, '/');

	if (directory)
		snprintf(path, sizeof(path), "%s/%s", directory, slash ? slash + 1 : r->file);
	else
		snprintf(path, sizeof(path), "%s", file);
	if (tftp_content_load(&r->content, path, e) < 0)
		return err_wrap(e, "--expect");
	r->known = true;
	return 0;
}

int tftp_expect_load(struct tftp_cases *c, struct err *e)
{
	const char *expect = c->opts->expect;
	struct stat st;
	bool directory;

	if (!expect)
		return 0;
	directory = stat(expect, &st) == 0 && S_ISDIR(st.st_mode);
	for (size_t i = 0; i < c->n_targets; i++) {
		struct tftp_reference *r;

		if (c->target[i].is_builtin)
			return err_set(e, ERR_USAGE, "usage",
				       "--expect: the content of builtin: is known");
		r = operand_reference(&c->target[i]);
		if (!directory && is_sha256(expect))
			snprintf(r->sha256, sizeof(r->sha256), "%s", expect);
		else if (expect_file(r, directory ? expect : NULL, expect, e) < 0)
			return -1;
	}
	return 0;
}

static void die(struct tftp_cell *cell, const char *word, const char *detail)
{
	snprintf(cell->dead_detail, sizeof(cell->dead_detail), "%s", detail);
	cell->plan.dead_word = word;
	cell->plan.dead_detail = cell->dead_detail;
}

/* False: the transfer failed, and the cell knows why. */
static bool judge(struct tftp_cell *cell, const struct tftp_client *c)
{
	struct tftp_target *t = cell->target;
	char text[256];

	if (c->state == TFTP_FINISHED)
		return true;
	die(cell, tftp_client_word(c), tftp_client_describe(c, text, sizeof(text)));
	if (c->failure == TFTP_NO_REPLY || c->failure == TFTP_UNREACHABLE) {
		t->dead_word = tftp_client_word(c);
		snprintf(t->dead_detail, sizeof(t->dead_detail), "%s", text);
	}
	return false;
}

static int fetch(struct tftp_cell *cell, struct tftp_plan *plan, struct tftp_client *c,
		 struct err *e)
{
	/* generous: what bounds it is that something new must come within all retries */
	return tftp_fetch(plan, cell->all->opts->plan.timeout_ns * 10, c, e);
}

static int prepare_read(struct tftp_cell *cell, struct err *e)
{
	struct tftp_reference *r = cell->reference;
	struct tftp_client c;
	char sum[65];

	r->content.recording = !r->known;
	if (fetch(cell, &cell->plan, &c, e) < 0)
		return -1;
	r->content.recording = false;
	if (!judge(cell, &c) || r->known)
		return 0;
	tftp_content_sha256(&r->content, sum);
	if (r->sha256[0] && strcasecmp(sum, r->sha256) != 0) {
		char text[160];

		snprintf(text, sizeof(text), "SHA-256 of the file is %s", sum);
		die(cell, "corrupt", text);
		return 0;
	}
	snprintf(r->sha256, sizeof(r->sha256), "%s", sum);
	r->known = true;
	return 0;
}

/* A write is put once, then read back by the same name and compared. */
static int prepare_write(struct tftp_cell *cell, struct err *e)
{
	struct tftp_plan back = { .server = cell->plan.server,
				  .transfer = cell->plan.transfer,
				  .content = &cell->sent };
	struct tftp_client c;
	char text[256];
	int rc = 0;

	if (fetch(cell, &cell->plan, &c, e) < 0)
		return -1;
	if (!judge(cell, &c))
		return 0;
	if (tftp_plan_init(&back, e) < 0)
		return -1;
	back.transfer.write = false;
	back.transfer.ask.tsize = 0;
	/* atftpd acknowledges the last block before it has written it */
	for (int tries = 0; tries < READ_BACK_TRIES; tries++) {
		rc = fetch(cell, &back, &c, e);
		if (rc < 0 || (c.failure != TFTP_CORRUPT && c.failure != TFTP_SHORT &&
			       c.failure != TFTP_LONG))
			break;
	}
	tftp_plan_done(&back);
	if (rc < 0)
		return -1;
	if (c.failure == TFTP_CORRUPT || c.failure == TFTP_SHORT || c.failure == TFTP_LONG) {
		judge(cell, &c);
	} else if (c.state != TFTP_FINISHED) {
		cell->unverified = true;
		log_say(cell->all->log, LOG_WARNING, "write-not-verified",
			"%s: what was written could not be read back: %s",
			cell->target->target->label, tftp_client_describe(&c, text, sizeof(text)));
	}
	return 0;
}

static int prepare_options(struct tftp_cell *cell, struct err *e)
{
	struct tftp_target *t = cell->target;
	struct tftp_client c;

	cell->plan.transfer.ask = (struct tftp_options){
		.set = TFTP_OPT_BLKSIZE | TFTP_OPT_TSIZE | TFTP_OPT_TIMEOUT | TFTP_OPT_WINDOWSIZE,
		.blksize = 1428,
		.timeout_s = 1,
		.windowsize = 16,
	};
	if (fetch(cell, &cell->plan, &c, e) < 0)
		return -1;
	if (!judge(cell, &c))
		return 0;
	return tftp_capability_scan(&cell->plan, cell->all->opts->plan.timeout_ns, t->capability,
				    &t->n_capabilities, e);
}

static void note_identity(struct tftp_cell *cell)
{
	struct tftp_tally t;
	size_t n = 0;
	char *out = cell->target->negotiated;
	size_t room = sizeof(cell->target->negotiated);

	tftp_plan_collect(&cell->plan, &t);
	if (cell->kind == TFTP_KIND_OPTIONS || !t.blksize_min || out[0])
		return;
	n = (size_t)snprintf(out, room, "blksize %u windowsize %u; acknowledged:", t.blksize_max,
			     t.windowsize_max);
	for (unsigned i = 0; i < TFTP_OPTION_KINDS && n < room; i++) {
		if (t.options_set & 1U << i)
			n += (size_t)snprintf(out + n, room - n, " %s", tftp_option_name(i));
	}
	if (!t.options_set && n < room)
		snprintf(out + n, room - n, " none");
}

static int prepare(struct tftp_cell *cell, struct err *e)
{
	int rc;

	if (cell->target->dead_word) {
		die(cell, cell->target->dead_word, cell->target->dead_detail);
		return 0;
	}
	switch (cell->kind) {
	case TFTP_KIND_WRITE:
		rc = prepare_write(cell, e);
		break;
	case TFTP_KIND_OPTIONS:
		rc = prepare_options(cell, e);
		break;
	default:
		rc = prepare_read(cell, e);
		break;
	}
	note_identity(cell);
	return rc;
}

int tftp_cell_session(void *ctx, struct loop *loop, unsigned index, struct sub_sink *sink,
		      struct session **out, struct err *e)
{
	struct tftp_cell *cell = ctx;
	int rc = 0;

	pthread_mutex_lock(&cell->all->lock);
	if (!cell->prepared) {
		rc = prepare(cell, e);
		cell->prepared = true;
	}
	pthread_mutex_unlock(&cell->all->lock);
	return rc < 0 ? -1 : tftp_session_new(&cell->plan, loop, index, sink, out, e);
}
