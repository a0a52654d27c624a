/* numbers - the table beside a figure */
#pragma once

#include "base/buf.h"

enum { NUMBERS_ROWS = 64, NUMBERS_COLUMNS = 16, NUMBERS_LABEL = 160, NUMBERS_TEXT = 80 };

/* Rows and columns beyond are left out (and counted, for rows). Text is escaped when the table is written. 100 KB: keep one and
 * use it again. */
struct numbers {
	size_t rows, columns, dropped;
	char head[NUMBERS_COLUMNS][NUMBERS_LABEL];
	char label[NUMBERS_ROWS][NUMBERS_LABEL];
	char cell[NUMBERS_ROWS][NUMBERS_COLUMNS][NUMBERS_TEXT];
};

/* Empties it. */
void numbers_start(struct numbers *t);
/* A column with its heading; columns come before rows. */
void numbers_column(struct numbers *t, const char *head);
/* A row; its cells are "-" until they are set. Returns its index for the others, which take one beyond as well. */
size_t numbers_row(struct numbers *t, const char *label);
void numbers_text(struct numbers *t, size_t row, size_t column, const char *text);
/* "12.6 us", "-" for NaN. */
void numbers_value(struct numbers *t, size_t row, size_t column, double value, const char *unit);
void numbers_count(struct numbers *t, size_t row, size_t column, double n);
/* As HTML: tables of at most three columns each, so that none is wider than a phone. The caption is for those who hear it. */
void numbers_html(const struct numbers *t, const char *caption, struct buf *out);
