/* term - what the terminal can show */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum term_color { TERM_COLOR_AUTO, TERM_COLOR_ALWAYS, TERM_COLOR_NEVER };
extern const char *const term_color_names[];

/* Columns of the terminal behind `fd` (60..200), 80 where it is none. */
unsigned term_width(int fd);
/* Lines of the terminal behind `fd` (at least 10), 24 where it is none or does not say. */
unsigned term_height(int fd);
/* auto: a terminal, TERM is not "dumb" and NO_COLOR is unset or empty (no-color.org). */
bool term_color(int fd, enum term_color wish);
/* Lines can be redrawn: TERM is set and not "dumb". */
bool term_can_redraw(void);
/* The terminal of standard input, where there is one, is this process group's from now on: a command that runs in it may
 * read, and ^C is its own. */
void term_give(pid_t group);
/* The locale's encoding is UTF-8, by LC_ALL, LC_CTYPE, LANG in POSIX order. */
bool term_utf8(void);
