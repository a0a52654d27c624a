#include "proto/telnet-option.h"

#include "proto/telnet.h"

static const struct telnet_option *find(const struct telnet_options *o, uint8_t option)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->row[i].option == option)
			return &o->row[i];
	return NULL;
}

static struct telnet_option *find_mutable(struct telnet_options *o, uint8_t option)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->row[i].option == option)
			return &o->row[i];
	return NULL;
}

void telnet_options_add(struct telnet_options *o, uint8_t option, bool us_ok, bool him_ok)
{
	if (o->n < TELNET_OPTIONS_MAX && !find(o, option))
		o->row[o->n++] = (struct telnet_option){
			.option = option,
			.us_ok = us_ok,
			.him_ok = him_ok,
		};
}

size_t telnet_options_ask(struct telnet_options *o, uint8_t command, uint8_t option, uint8_t out[3])
{
	struct telnet_option *row = find_mutable(o, option);
	uint8_t *side;

	if (!row)
		return 0;
	side = command == TELNET_WILL ? &row->us : &row->him;
	if (*side != TELNET_NO)
		return 0;
	*side = TELNET_WANTYES;
	return telnet_put_option(out, command, option);
}

static size_t refuse(struct telnet_options *o, bool about_us, uint8_t option, uint8_t out[3])
{
	uint8_t *bits = o->refused[about_us];
	uint8_t bit = (uint8_t)(1 << option % 8);

	if (bits[option / 8] & bit) {
		o->dropped++;
		return 0;
	}
	bits[option / 8] = (uint8_t)(bits[option / 8] | bit);
	return telnet_put_option(out, about_us ? TELNET_WONT : TELNET_DONT, option);
}

size_t telnet_options_receive(struct telnet_options *o, uint8_t command, uint8_t option,
			      uint8_t out[3])
{
	bool about_us = command == TELNET_DO || command == TELNET_DONT;
	bool enable = command == TELNET_DO || command == TELNET_WILL;
	struct telnet_option *row = find_mutable(o, option);
	uint8_t *side = row ? about_us ? &row->us : &row->him : NULL;
	uint8_t before = side ? *side : TELNET_NO;

	if (enable && before == TELNET_NO && (!row || !(about_us ? row->us_ok : row->him_ok)))
		return refuse(o, about_us, option, out);
	if (!side || before == (enable ? TELNET_YES : TELNET_NO))
		return 0;
	if (before == TELNET_WANTYES) {
		*side = enable ? TELNET_YES : TELNET_NO;
		return 0;
	}
	if (row->flips == TELNET_FLIPS_MAX) {
		o->dropped++;
		return 0;
	}
	row->flips++;
	*side = enable ? TELNET_YES : TELNET_NO;
	if (about_us)
		return telnet_put_option(out, enable ? TELNET_WILL : TELNET_WONT, option);
	return telnet_put_option(out, enable ? TELNET_DO : TELNET_DONT, option);
}

enum telnet_agreement telnet_options_us(const struct telnet_options *o, uint8_t option)
{
	const struct telnet_option *row = find(o, option);

	return row ? row->us : TELNET_NO;
}

enum telnet_agreement telnet_options_him(const struct telnet_options *o, uint8_t option)
{
	const struct telnet_option *row = find(o, option);

	return row ? row->him : TELNET_NO;
}
