#include "peer/tftp-capability.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

static const struct {
	unsigned option; /* bit number */
	uint64_t value;
} questions[] = {
	{ 1, 0 },     { 0, 8 },	  { 0, 512 },	 { 0, 1428 }, { 0, 1468 }, { 0, 8192 },
	{ 0, 65464 }, { 3, 1 },	  { 3, 4 },	 { 3, 16 },   { 3, 64 },   { 3, 65535 },
	{ 2, 1 },     { 2, 255 }, { 5, 100000 }, { 4, 0 },    { 4, 1 },
};

static void ask_for(struct tftp_options *o, unsigned option, uint64_t value)
{
	memset(o, 0, sizeof(*o));
	o->set = 1U << option;
	switch (1U << option) {
	case TFTP_OPT_BLKSIZE:
		o->blksize = (uint32_t)value;
		break;
	case TFTP_OPT_WINDOWSIZE:
		o->windowsize = (uint32_t)value;
		break;
	case TFTP_OPT_TIMEOUT:
		o->timeout_s = (uint32_t)value;
		break;
	case TFTP_OPT_UTIMEOUT:
		o->utimeout_us = (uint32_t)value;
		break;
	case TFTP_OPT_ROLLOVER:
		o->rollover = (uint32_t)value;
		break;
	default:
		o->tsize = value;
		break;
	}
}

static void judge(struct tftp_capability *row, const struct tftp_client *c, unsigned bit)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT;

	row->word = "";
	if (c->state == TFTP_FINISHED || (c->failure == TFTP_OPTION_REFUSED && c->code == 0)) {
		bool acked = c->oack && (c->got.set & bit);

		row->value = acked ? tftp_option_value(&c->got, bit) : 0;
		/* the answer to tsize 0 is the size */
		row->answer = !acked			 ? TFTP_IGNORED
			      : bit == TFTP_OPT_TSIZE	 ? TFTP_HONOURED
			      : row->value == row->asked ? TFTP_HONOURED
							 : TFTP_CHANGED;
		if (c->failure == TFTP_OPTION_REFUSED) {
			row->answer = TFTP_CHANGED;
			row->word = "not-acceptable";
		}
	} else if (c->failure == TFTP_SERVER_ERROR || c->failure == TFTP_OPTION_REFUSED) {
		row->answer = TFTP_REFUSED;
		row->code = c->code;
	} else {
		row->answer = TFTP_NO_ANSWER;
		row->word = tftp_client_word(c);
	}
	if (c->text[0] && buf_add_safe(&text, c->text, strlen(c->text)) == 0)
		snprintf(row->text, sizeof(row->text), "%.95s", buf_text(&text));
}

int tftp_capability_scan(const struct tftp_plan *p, uint64_t limit_ns,
			 struct tftp_capability out[TFTP_CAPABILITIES_MAX], size_t *n,
			 struct err *e)
{
	struct tftp_plan mine = { .server = p->server, .transfer = p->transfer };
	struct tftp_client c;
	int rc = 0;

	*n = 0;
	if (tftp_plan_init(&mine, e) < 0)
		return -1;
	mine.transfer.probe = true;
	mine.transfer.write = false;
	for (size_t i = 0; rc == 0 && i < sizeof(questions) / sizeof(questions[0]); i++) {
		struct tftp_capability *row = &out[*n];

		ask_for(&mine.transfer.ask, questions[i].option, questions[i].value);
		rc = tftp_fetch(&mine, limit_ns, &c, e);
		if (rc < 0)
			break;
		*row = (struct tftp_capability){ .option = tftp_option_name(questions[i].option),
						 .asked = questions[i].value };
		judge(row, &c, 1U << questions[i].option);
		if (i == 0 && row->answer == TFTP_NO_ANSWER)
			break;
		(*n)++;
	}
	tftp_plan_done(&mine);
	return rc;
}

const char *tftp_answer_word(enum tftp_answer a)
{
	static const char *const word[] = { "honoured", "changed", "ignored", "refused",
					    "no-answer" };

	return word[a];
}
