#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/chan-impl.h"
#include "io/serial-port.h"

struct serial_chan {
	const struct serial_layer *layer;
	struct serial_settings settings;
	uint64_t dropped; /* bytes that came while it settled */
};

static int serial_make(struct chan *c, struct err *e)
{
	static const char *const known[] = { SERIAL_SETTINGS_KEYS, NULL };
	struct serial_chan *s;

	if (url_check_query(c->p.url, known, e) < 0)
		return -1;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_nomem(e);
	c->impl = s;
	s->layer = c->p.serial ? c->p.serial : &serial_layer_real;
	s->settings = (struct serial_settings)SERIAL_SETTINGS_DEFAULT;
	if (serial_settings_read(&s->settings, c->p.url, e) < 0)
		return -1;
	/* the URL says more than the options of the command */
	if (c->p.set_lines && !url_query(c->p.url, "dtr"))
		s->settings.dtr = c->p.raise_dtr ? SERIAL_ON : SERIAL_OFF;
	if (c->p.set_lines && !url_query(c->p.url, "rts"))
		s->settings.rts = c->p.raise_rts ? SERIAL_ON : SERIAL_OFF;
	/* mpremote reads such a path with a blocking read */
	if (strncmp(c->p.url->path, "/dev/pts/", 9) == 0)
		c->style.read_poll_ns = 0;
	return 0;
}

/* What a device says while it settles would overrun the driver's buffer in a real port: it is read, and dropped. */
static void serial_input(struct chan *c)
{
	struct serial_chan *s = c->impl;
	char boot[4096];
	ssize_t n;

	if (c->ready) {
		chan_emit(c, CHAN_READABLE);
		return;
	}
	n = chan_receive(c, boot, sizeof(boot));
	if (n > 0)
		s->dropped += (uint64_t)n;
	else if (n < 0)
		chan_fail_late(c, &c->error);
}

static void settled(struct timer *t, uint64_t now_ns)
{
	struct chan *c = CONTAINER_OF(t, struct chan, wait);
	const struct serial_chan *s = c->impl;
	struct err e;

	(void)now_ns;
	if (s->dropped)
		log_say(c->p.log, LOG_NOTE, "serial-settled",
			"%s: %" PRIu64 " bytes that came while it settled are dropped",
			c->p.url->shown, s->dropped);
	c->ready = true;
	if (chan_emit(c, CHAN_READY) && !c->failed && c->fd >= 0 && chan_update(c, &e) < 0)
		chan_fail(c, &e);
}

static void identify(struct chan *c, const struct serial_chan *s)
{
	int latency = serial_latency_timer(s->layer, c->p.url->path);
	char text[CHAN_FACT_MAX];

	snprintf(text, sizeof(text), "%u", serial_baud(s->layer, c->fd));
	chan_fact(c, "baud", text);
	if (serial_driver(s->layer, c->p.url->path, text, sizeof(text)))
		chan_fact(c, "driver", text);
	if (latency < 0)
		return;
	snprintf(text, sizeof(text), "%d", latency);
	chan_fact(c, "latency_timer_ms", text);
}

static void serial_start(struct chan *c)
{
	struct serial_chan *s = c->impl;
	struct err e;
	int fd;

	if (serial_open(s->layer, c->p.url->path, &s->settings, c->p.log, &fd, &e) < 0) {
		chan_fail(c, &e);
		return;
	}
	c->connected = true;
	if (chan_watch(c, fd, &e) < 0) {
		chan_fail(c, &e);
		return;
	}
	if (c->p.purge)
		serial_purge(s->layer, fd);
	identify(c, s);
	if (!s->settings.settle_ns) {
		chan_announce(c);
		return;
	}
	timer_set(c->loop, &c->wait, loop_now(c->loop) + s->settings.settle_ns, settled);
	chan_emit(c, CHAN_CONNECTED);
}

static void serial_free(struct chan *c)
{
	free(c->impl);
}

static void serial_close(struct chan *c)
{
	struct serial_chan *s = c->impl;

	if (c->style.lower_lines_on_close && c->fd >= 0)
		serial_set_lines(s->layer, c->fd, SERIAL_OFF, SERIAL_OFF, c->p.log);
	chan_closed(c);
}

const struct chan_ops chan_serial_ops = {
	.scheme = "serial",
	.make = serial_make,
	.start = serial_start,
	.free = serial_free,
	.input = serial_input,
	.close = serial_close,
};
