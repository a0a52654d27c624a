#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/opt.h"

enum { WORD_MAX = 48 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edit distance with neighbours swapped counted as one (optimal string alignment). */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned row[3][WORD_MAX + 1];

	for (size_t k = 0; k <= m; k++)
		row[0][k] = (unsigned)k;
	for (size_t i = 1; i <= n; i++) {
		unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t k = 1; k <= m; k++) {
			unsigned differ = tolower((unsigned char)a[i - 1]) !=
					  tolower((unsigned char)b[k - 1]);

			now[k] = min3(up[k] + 1, now[k - 1] + 1, up[k - 1] + differ);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    up2[k - 2] + 1 < now[k])
				now[k] = up2[k - 2] + 1;
		}
	}
	return row[n % 3][m];
}

static const char *only_containing(const char *word, const char *const *list, size_t n)
{
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!strstr(list[i], word))
			continue;
		if (found)
			return NULL;
		found = list[i];
	}
	return found;
}

const char *opt_nearest(const char *word, const char *const *list, size_t n)
{
	size_t len = strlen(word);
	unsigned best = 1 + (unsigned)len / 3;
	const char *near = NULL;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(list[i]);
		unsigned d;

		if (other > WORD_MAX)
			continue;
		d = distance(word, len, list[i], other);
		/* a word of which nothing is left is not near */
		if (d < len && (d < best || (d == best && !near))) {
			best = d;
			near = list[i];
		}
	}
	return near || len < 3 ? near : only_containing(word, list, n);
}

/* Reads one word from *p into *to (NUL-terminated); 0, or -1 for an open quote. */
static int take_word(const char **p, char **to)
{
	char quote = '\0';

	for (; **p && (quote || !isspace((unsigned char)**p)); ++*p) {
		char c = **p;

		if (quote && c == quote) {
			quote = '\0';
		} else if (!quote && (c == '\'' || c == '"')) {
			quote = c;
		} else if (c == '\\' && (!quote || (quote == '"' && strchr("\"\\", (*p)[1])))) {
			if (!*++*p)
				return -1;
			*(*to)++ = **p;
		} else {
			*(*to)++ = c;
		}
	}
	*(*to)++ = '\0';
	return quote ? -1 : 0;
}

int opt_split_command(const char *text, char ***out, struct err *e)
{
	size_t len = strlen(text), words = len / 2 + 2, n = 0;
	CLEANUP_FREE char **v = NULL;
	const char *p = text;
	char *to;

	if (len > SIZE_MAX / 16 || !(v = malloc(words * sizeof(*v) + len + 1)))
		return err_nomem(e);
	to = (char *)(v + words);
	for (;;) {
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '\0')
			break;
		v[n++] = to;
		if (take_word(&p, &to) < 0)
			return err_set(e, ERR_USAGE, "command",
				       "an open quote or a lone backslash in '%s'", text);
	}
	if (n == 0)
		return err_set(e, ERR_USAGE, "command", "an empty command");
	v[n] = NULL;
	*out = TAKE(v);
	return 0;
}
