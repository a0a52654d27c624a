#include "picture/numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "picture/words.h"
#include "result/escape.h"

enum { ABREAST = 3 };

void numbers_start(struct numbers *t)
{
	t->rows = t->columns = t->dropped = 0;
}

void numbers_column(struct numbers *t, const char *head)
{
	if (t->columns < NUMBERS_COLUMNS)
		words_copy(t->head[t->columns++], NUMBERS_LABEL, head);
}

size_t numbers_row(struct numbers *t, const char *label)
{
	if (t->rows == NUMBERS_ROWS) {
		t->dropped++;
		return NUMBERS_ROWS;
	}
	words_copy(t->label[t->rows], NUMBERS_LABEL, label);
	for (size_t i = 0; i < t->columns; i++)
		words_copy(t->cell[t->rows][i], NUMBERS_TEXT, "-");
	return t->rows++;
}

void numbers_text(struct numbers *t, size_t row, size_t column, const char *text)
{
	if (row < t->rows && column < t->columns)
		words_copy(t->cell[row][column], NUMBERS_TEXT, text);
}

void numbers_value(struct numbers *t, size_t row, size_t column, double value, const char *unit)
{
	char text[NUM_TEXT_MAX];

	if (isfinite(value))
		numbers_text(t, row, column, num_format_unit(text, value, unit));
}

void numbers_count(struct numbers *t, size_t row, size_t column, double n)
{
	char text[NUM_TEXT_MAX];

	if (!isfinite(n))
		return;
	if (fabs(n) < 1e7)
		snprintf(text, sizeof(text), "%.0f", n);
	else
		num_format_count(text, n);
	numbers_text(t, row, column, text);
}

/* Numbers stay on one line with their unit. What is too long for a third of a phone breaks between words, and words that are
 * too long break anywhere. */
static const char *class_of(const char *text)
{
	size_t longest = 0, run = 0, all = strlen(text);

	for (; *text; text++) {
		run = *text == ' ' ? 0 : run + 1;
		longest = run > longest ? run : longest;
	}
	return longest > 12 ? " class=w" : all > 9 ? " class=n" : "";
}

static void add_cell(struct buf *out, const char *element, const char *text)
{
	buf_addf(out, "<%s%s>", element, class_of(text));
	escape_html(out, text);
}

static void one_table(const struct numbers *t, const char *caption, size_t from, struct buf *out)
{
	size_t to = from + ABREAST < t->columns ? from + ABREAST : t->columns;

	buf_adds(out, "<table><caption>");
	escape_html(out, caption);
	buf_adds(out, "</caption><tr><th>");
	for (size_t i = from; i < to; i++)
		add_cell(out, "th scope=col", t->head[i]);
	for (size_t row = 0; row < t->rows; row++) {
		buf_adds(out, "<tr><th scope=row>");
		escape_html(out, t->label[row]);
		for (size_t i = from; i < to; i++)
			add_cell(out, "td", t->cell[row][i]);
	}
	buf_adds(out, "</table>");
}

void numbers_html(const struct numbers *t, const char *caption, struct buf *out)
{
	for (size_t from = 0; from < t->columns; from += ABREAST)
		one_table(t, caption, from, out);
	if (t->dropped)
		buf_addf(out, "<p class=small>%zu further rows are left out.</p>", t->dropped);
}
