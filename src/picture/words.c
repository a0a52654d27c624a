#include "picture/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void words_copy(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size) {
		len = size - 1;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out, text, len);
	out[len] = '\0';
}

/* Units of which people say faster and slower. */
static bool is_speed(const char *unit)
{
	return strcmp(unit, "ns") == 0 || strstr(unit, "_per_second");
}

char *words_ratio(char *out, double ratio, enum better better, const char *unit)
{
	bool more = ratio > 1, speed = is_speed(unit) && better != BETTER_NONE;
	bool worse = more == (better == BETTER_LOWER);
	double times = more ? ratio : 1 / ratio;
	const char *word = speed ? (worse ? "slower" : "faster") : more ? "more" : "less";

	if (times >= 1.5)
		snprintf(out, WORDS_MAX, "%.*f times %s", times < 9.95 ? 1 : 0, times, word);
	else
		snprintf(out, WORDS_MAX, "%.*f %% %s", fabs(ratio - 1) < 0.0995 ? 1 : 0,
			 100 * fabs(ratio - 1), word);
	return out;
}

static void number(char out[24], double r)
{
	int digits = r >= 99.5 ? 0 : r >= 9.95 ? 1 : r >= 0.0995 ? 2 : 3;

	if (!isfinite(r))
		snprintf(out, 24, "?");
	else if (r >= 1e6 || (r > 0 && r < 0.001))
		snprintf(out, 24, "%.2g", r);
	else
		snprintf(out, 24, "%.*f", digits, r);
}

char *words_interval(char *out, const struct contrast *c)
{
	char ratio[24], lo[24], hi[24];

	number(ratio, c->ratio);
	number(lo, c->lo);
	number(hi, c->hi);
	if (!c->known || isnan(c->ratio))
		snprintf(out, WORDS_MAX, "-");
	else if (c->exact)
		snprintf(out, WORDS_MAX, "%s, exact", ratio);
	else if (!isfinite(c->lo) || !isfinite(c->hi) || c->lo <= 0)
		snprintf(out, WORDS_MAX, "%s, no interval", ratio);
	else
		snprintf(out, WORDS_MAX, "%s [%s, %s]", ratio, lo, hi);
	return out;
}

/* Where the interval leaves no doubt, or a comparison of files has judged. */
static bool is_different(const struct contrast *k)
{
	if (k->exact)
		return k->ratio != 1;
	if (k->verdict == VERDICT_REGRESSION || k->verdict == VERDICT_IMPROVEMENT)
		return true;
	return k->verdict == VERDICT_NONE && (k->lo > 1 || k->hi < 1);
}

static bool is_same(const struct contrast *k)
{
	if (k->verdict != VERDICT_NONE)
		return k->verdict == VERDICT_UNCHANGED;
	return k->exact ? k->ratio == 1 : k->lo > 1 - k->threshold && k->hi < 1 + k->threshold;
}

void words_contrast(struct buf *out, const struct study_case *c, const struct arm *a)
{
	const struct contrast *k = &a->contrast;
	char ratio[WORDS_MAX];

	if (!k->known || !(k->ratio > 0) || !isfinite(k->ratio))
		return;
	if (is_same(k))
		buf_addf(out, "%s and %s are the same%s", a->label, k->base->label,
			 k->exact ? "" : " within the threshold");
	else if (is_different(k))
		buf_addf(out, "%s is %s than %s", a->label,
			 words_ratio(ratio, k->ratio, c->better, c->unit), k->base->label);
	else
		buf_addf(out, "these runs cannot tell %s and %s apart", a->label, k->base->label);
}

char *words_axis(char *out, size_t size, const struct study_case *c)
{
	char name[64];

	words_copy(name, sizeof(name), c->distribution);
	snprintf(out, size, "%s%s", name, study_latency(c) ? " of one operation" : "");
	return out;
}
