#include "picture/figure.h"

#include "result/escape.h"

void figure_begin(struct canvas *k, const char *title, const char *what)
{
	numbers_start(k->numbers);
	buf_adds(k->out, "<section class=fig><figure><figcaption><h4>");
	escape_html(k->out, title);
	buf_adds(k->out, "</h4><p>");
	escape_html(k->out, what);
	buf_adds(k->out, "</p></figcaption>\n");
}

void figure_key(struct canvas *k, const struct study_case *c)
{
	if (c->n < 2)
		return;
	buf_adds(k->out, "<ul class=key>");
	for (size_t i = 0; i < study_drawn(c); i++) {
		unsigned color = c->arm[i].color;
		struct svg s = { .out = k->out };

		buf_adds(k->out, "<li><svg viewBox=\"0 0 34 12\" aria-hidden=true>");
		svg_path_begin(&s, "line", color);
		svg_move(&s, 0, 6);
		svg_to(&s, 34, 6);
		svg_path_end(&s);
		svg_path_begin(&s, "mark", color);
		svg_mark(&s, 17, 6, color);
		svg_path_end(&s);
		buf_adds(k->out, "</svg><bdi>");
		escape_html(k->out, c->arm[i].label);
		buf_adds(k->out, "</bdi>");
	}
	if (c->n > study_drawn(c))
		buf_addf(k->out, "<li>%zu further ones are in the table only",
			 c->n - study_drawn(c));
	buf_adds(k->out, "</ul>");
}

void figure_columns(struct canvas *k, const struct study_case *c)
{
	for (size_t i = 0; i < c->n; i++)
		numbers_column(k->numbers, c->arm[i].label);
}

void figure_svg(struct canvas *k, struct svg *s, double height, const char *title, const char *desc)
{
	svg_begin(s, k->out, height, ++k->id, title, desc);
}

void figure_note(struct canvas *k, const char *text)
{
	buf_adds(k->out, "<p class=small>");
	escape_html(k->out, text);
	buf_adds(k->out, "</p>");
}

void figure_end(struct canvas *k, const char *caption)
{
	buf_adds(k->out, "</figure><div class=nums>");
	numbers_html(k->numbers, caption, k->out);
	buf_adds(k->out, "</div></section>\n");
}
