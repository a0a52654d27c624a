/* Checks for people: one line each, worst first, the value beside its limit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "result/limit.h"
#include "result/screen.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void add_text(const struct screen *s, const char *text)
{
	CLEANUP_FREE char *safe = screen_safe(s, text);

	screen_text(s, TONE_PLAIN, safe ? safe : "");
}

static void one(const struct screen *s, const json_t *check)
{
	const char *status = text_of(check, "status");
	bool pass = strcmp(status, "pass") == 0, fail = strcmp(status, "fail") == 0;
	const json_t *value = json_object_get(check, "value");
	char text[NUM_TEXT_MAX] = "-";

	screen_left(s, pass ? TONE_GOOD : TONE_BAD, pass ? "pass" : fail ? "FAIL" : "ERROR", 7);
	if (json_is_number(value) && strcmp(text_of(check, "unit"), "change") == 0)
		snprintf(text, sizeof(text), "%+.3g%%", 100 * json_number_value(value));
	else if (json_is_number(value))
		num_format_unit(text, json_number_value(value), text_of(check, "unit"));
	screen_right(s, TONE_BOLD, text, 11);
	buf_adds(s->out, "  ");
	add_text(s, text_of(check, "expr"));
	screen_line_end(s);
	if (*text_of(check, "benchmark")) {
		buf_adds(s->out, "    ");
		add_text(s, text_of(check, "benchmark"));
		buf_addc(s->out, ' ');
		add_text(s, text_of(check, "metric"));
		if (*text_of(check, "params")) {
			buf_adds(s->out, " (");
			add_text(s, text_of(check, "params"));
			buf_addc(s->out, ')');
		}
		buf_adds(s->out, " @");
		add_text(s, text_of(check, "target"));
		screen_line_end(s);
	}
	if (*text_of(check, "message")) {
		CLEANUP_FREE char *safe = screen_safe(s, text_of(check, "message"));

		screen_wrap(s, TONE_PLAIN, "    ", safe ? safe : "");
	}
}

void limit_table(const json_t *checks, const struct screen *s)
{
	static const char *const order[] = { "error", "fail", "pass" };
	const json_t *check;
	size_t i;

	for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++)
		json_array_foreach(checks, i, check)
		{
			if (strcmp(text_of(check, "status"), order[k]) == 0)
				one(s, check);
		}
}
