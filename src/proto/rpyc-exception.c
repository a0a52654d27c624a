#include "proto/rpyc-exception.h"

#include <string.h>

enum { STOP_ITERATION = 1 };

static bool take_text(struct brine_reader *r, struct rpyc_text *out)
{
	return brine_take_str(r, &out->text, &out->len);
}

static bool is_text(const struct rpyc_text *t, const char *text)
{
	return t->len == strlen(text) && memcmp(t->text, text, t->len) == 0;
}

/* ((name, value), ...): only the version of the other side matters. */
static void find_version(struct brine_reader attributes, struct rpyc_text *out)
{
	struct brine_item item;
	struct rpyc_text name, value;

	if (!brine_take(&attributes, BRINE_TUPLE, &item))
		return;
	for (uint32_t i = 0; i < item.count; i++) {
		struct brine_reader pair;

		if (brine_value(&attributes, &pair) && brine_enter(&pair, 2) &&
		    take_text(&pair, &name) && is_text(&name, "_remote_version") &&
		    take_text(&pair, &value))
			*out = value;
	}
}

int rpyc_exception_parse(const struct rpyc_message *m, struct rpyc_exception *out, const char **why)
{
	struct brine_reader r = m->args, attributes;
	struct brine_item item;
	int64_t bare;

	*out = (struct rpyc_exception){ .module = { "builtins", 8 },
					.name = { "", 0 },
					.traceback = { "", 0 },
					.remote_version = { "", 0 } };
	if (brine_take_int(&r, &bare)) {
		out->name = (struct rpyc_text){ "StopIteration", 13 };
		*why = "an exception that is a number of no meaning";
		return bare == STOP_ITERATION ? 0 : -1;
	}
	if (take_text(&r, &out->name))
		return 0;
	*why = "an exception of no known form";
	if (!brine_enter(&r, 4) || !brine_enter(&r, 2) || !take_text(&r, &out->module) ||
	    !take_text(&r, &out->name) || !brine_value(&r, &out->args))
		return -1;
	attributes = out->args;
	if (!brine_take(&attributes, BRINE_TUPLE, &item) || !brine_value(&r, &attributes) ||
	    !take_text(&r, &out->traceback))
		return -1;
	find_version(attributes, &out->remote_version);
	return 0;
}

int rpyc_exception_add_text(struct buf *b, const struct rpyc_exception *ex, size_t max)
{
	CLEANUP(buf_done) struct buf line = BUF_INIT;
	struct brine_reader args = ex->args;
	struct brine_item item;
	bool first = true;

	if (ex->module.len && !is_text(&ex->module, "builtins")) {
		buf_add_safe(&line, ex->module.text, ex->module.len < max ? ex->module.len : max);
		buf_addc(&line, '.');
	}
	buf_add_safe(&line, ex->name.text, ex->name.len < max ? ex->name.len : max);
	brine_take(&args, BRINE_TUPLE, &item);
	while (args.at != args.end && line.len < max && !line.failed) {
		buf_adds(&line, first ? ": " : ", ");
		first = false;
		if (brine_take(&args, BRINE_STR, &item))
			buf_add_safe(&line, item.data, item.len < max ? item.len : max);
		else
			brine_add_text(&line, &args, max);
	}
	if (line.failed)
		return buf_reserve(b, SIZE_MAX);
	if (line.len > max) {
		size_t end = max > 3 ? max - 3 : 0;

		while (end > 0 && ((unsigned char)line.data[end] & 0xc0) == 0x80)
			end--;
		line.len = end;
		buf_adds(&line, "...");
	}
	return buf_add(b, buf_text(&line), line.len);
}

int rpyc_put_exception(struct buf *b, enum rpyc_layout layout, int64_t seq, const char *module,
		       const char *name, const char *text, const char *version)
{
	static const char version_name[] = "_remote_version";

	rpyc_put_exception_head(b, layout, seq);
	brine_put_tuple(b, 4);
	brine_put_tuple(b, 2);
	brine_put_str(b, module, strlen(module));
	brine_put_str(b, name, strlen(name));
	brine_put_tuple(b, 1);
	brine_put_str(b, text, strlen(text));
	brine_put_tuple(b, 1);
	brine_put_tuple(b, 2);
	brine_put_str(b, version_name, sizeof(version_name) - 1);
	brine_put_str(b, version, strlen(version));
	/* Python's client prints it, and what it calls remote should not be empty */
	return brine_put_str(b, text, strlen(text));
}
