#include "io/serial-settings.h"

#include "base/num.h"
#include "io/chan-impl.h"

int serial_settings_read(struct serial_settings *s, const struct url *u, struct err *e)
{
	static const char *const parity[] = { "N", "O", "E", "M", "S", NULL };
	static const char *const stop[] = { "1", "2", "1.5", NULL };
	static const char *const flow[] = { "none", "xonxoff", "rtscts", NULL };
	static const char *const line[] = { "keep", "on", "off", NULL };
	const char *settle = url_query(u, "settle"), *dtr = url_query(u, "dtr");

	if (chan_query_u32(u, "baud", 1, UINT32_MAX, &s->baud, e) < 0 ||
	    chan_query_u32(u, "bits", 5, 8, &s->bits, e) < 0 ||
	    chan_query_choice(u, "parity", parity, &s->parity, e) < 0 ||
	    chan_query_choice(u, "stop", stop, &s->stop, e) < 0 ||
	    chan_query_choice(u, "flow", flow, &s->flow, e) < 0 ||
	    chan_query_choice(u, "dtr", line, &s->dtr, e) < 0 ||
	    chan_query_choice(u, "rts", line, &s->rts, e) < 0 ||
	    chan_query_bool(u, "exclusive", &s->exclusive, e) < 0 ||
	    chan_query_bool(u, "low_latency", &s->low_latency, e) < 0)
		return -1;
	s->line_keep = dtr && s->dtr == SERIAL_KEEP;
	if (settle && num_parse_duration(settle, &s->settle_ns, e) < 0)
		return err_wrap(e, "%s: settle", u->shown);
	return 0;
}
