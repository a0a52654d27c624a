#include "result/wall.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000000000)

static int digits(const char *p, size_t n, int *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		*out = *out * 10 + (p[i] - '0');
	}
	return 0;
}

/* "Z" or +hh:mm, as seconds east of Greenwich. */
static int zone(const char *p, int *east)
{
	int hours, minutes;

	*east = 0;
	if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
		return 0;
	if (strlen(p) != 6 || (*p != '+' && *p != '-') || p[3] != ':' ||
	    digits(p + 1, 2, &hours) < 0 || digits(p + 4, 2, &minutes) < 0)
		return -1;
	*east = (hours * 60 + minutes) * 60 * (*p == '-' ? -1 : 1);
	return 0;
}

int wall_parse(const char *text, int64_t *out_ns)
{
	struct tm tm = { 0 };
	int64_t fraction = 0, unit = SECOND / 10;
	int east;
	const char *p = text + 19;

	if (strlen(text) < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' ||
	    text[16] != ':' || digits(text, 4, &tm.tm_year) < 0 ||
	    digits(text + 5, 2, &tm.tm_mon) < 0 || digits(text + 8, 2, &tm.tm_mday) < 0 ||
	    digits(text + 11, 2, &tm.tm_hour) < 0 || digits(text + 14, 2, &tm.tm_min) < 0 ||
	    digits(text + 17, 2, &tm.tm_sec) < 0)
		return -1;
	for (p += *p == '.'; *p >= '0' && *p <= '9'; p++, unit /= 10)
		fraction += (*p - '0') * unit;
	if (zone(p, &east) < 0 || tm.tm_year < 1970 || tm.tm_year > 2200)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out_ns = ((int64_t)timegm(&tm) - east) * SECOND + fraction;
	return 0;
}

void wall_format(int64_t ns, int ms, char out[40])
{
	time_t seconds = (time_t)(ns / SECOND);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	if (ms)
		snprintf(out + n, 40 - n, ".%03dZ", (int)(ns % SECOND / 1000000) % 1000);
	else
		snprintf(out + n, 40 - n, ".%09dZ", (int)(ns % SECOND));
}
