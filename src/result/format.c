#include "result/format.h"

#include <stdlib.h>

#include "result/emit.h"

const char *const format_names[] = { "table", "markdown", "github", "junit", "openmetrics", "prom",
				     "csv",   "influx",	  "bmf",    "gab",   "lava",	    NULL };

static int add_json(json_t *root, struct buf *out, struct err *e)
{
	CLEANUP_FREE char *text = NULL;
	size_t len;

	if (!root || emit_text(root, &text, &len, e) < 0)
		return -1;
	return buf_add(out, text, len) < 0 ? err_nomem(e) : 0;
}

static int add_document(const struct report *r, const struct format_options *o, struct buf *out,
			struct err *e)
{
	CLEANUP(json_decref)
	json_t *root = o->format == FORMAT_BMF ? format_bmf(r, e) : format_gab(r, o->gab_better, e);

	return add_json(root, out, e);
}

int format_report(const struct report *r, const struct format_options *o, struct buf *out,
		  struct err *e)
{
	switch (o->format) {
	case FORMAT_MARKDOWN:
		format_markdown(r, out);
		break;
	case FORMAT_GITHUB:
		format_github(r, out);
		break;
	case FORMAT_JUNIT:
		format_junit(r, out);
		break;
	case FORMAT_OPENMETRICS:
	case FORMAT_PROM:
		return format_openmetrics(r, o->format == FORMAT_OPENMETRICS, out, e);
	case FORMAT_CSV:
		format_csv(r, out);
		break;
	case FORMAT_INFLUX:
		format_influx(r, out);
		break;
	case FORMAT_BMF:
	case FORMAT_GAB:
		return add_document(r, o, out, e);
	case FORMAT_LAVA:
		format_lava(r, out);
		break;
	default:
		return err_set(e, ERR_INTERNAL, "bug", "a table is no format of its own");
	}
	return out->failed ? err_nomem(e) : 0;
}
