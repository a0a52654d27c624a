#include "iperf3-words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

int iperf3_number(const char *option, const char *text, uint32_t max, uint32_t *out, struct err *e)
{
	const char *at = text;
	uint64_t n = 0;
	int base = 10;

	if (at[0] == '0' && (at[1] | 0x20) == 'x') {
		base = 16;
		at += 2;
	} else if (at[0] == '0' && at[1]) {
		base = 8;
		at++;
	}
	if (!*at)
		n = UINT64_MAX;
	for (; *at && n <= max; at++)
		n = digit(*at) < base ? n * (unsigned)base + (unsigned)digit(*at) : UINT64_MAX;
	if (n > max)
		return err_set(e, ERR_USAGE, "usage",
			       "%s: '%s' is no number from 0 to %u (52, 064 and 0x34 are the same)",
			       option, text, max);
	*out = (uint32_t)n;
	return 0;
}

int iperf3_dscp(const char *text, uint32_t *tos, struct err *e)
{
	uint32_t point = 0;

	if (strcasecmp(text, "ef") == 0)
		point = 46;
	else if (strncasecmp(text, "cs", 2) == 0 && text[2] >= '0' && text[2] <= '7' && !text[3])
		point = (uint32_t)(text[2] - '0') * 8;
	else if (strncasecmp(text, "af", 2) == 0 && text[2] >= '1' && text[2] <= '4' &&
		 text[3] >= '1' && text[3] <= '3' && !text[4])
		point = (uint32_t)(text[2] - '0') * 8 + (uint32_t)(text[3] - '0') * 2;
	else if (iperf3_number("--dscp", text, 63, &point, e) < 0)
		return -1;
	*tos = point << 2;
	return 0;
}

int iperf3_rate_limit(const char *text, uint64_t *rate, struct err *e)
{
	char copy[64];
	char *slash;
	uint64_t seconds;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return err_set(e, ERR_USAGE, "usage", "--server-bitrate-limit: '%s' is no rate",
			       copy);
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	if ((slash && num_parse_u64(slash + 1, &seconds, e) < 0) ||
	    num_parse_rate(copy, rate, e) < 0)
		return err_wrap(e, "--server-bitrate-limit");
	return 0;
}
