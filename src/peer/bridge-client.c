#include "peer/bridge-client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

const char *const bridge_kind_names[] = { "raw", "rfc2217", "pty", NULL };

static const uint64_t leave_ns = NS_PER_SEC;
/* How long a client that closed its sending side still gets answers. */
static const uint64_t linger_ns = 500 * NS_PER_MS;

static void end(struct bridge_client *c, const char *why)
{
	if (!c->dead)
		c->ops->ended(c->ctx, c, why);
}

/* What has been decoded so far goes to the device, before anything that a command changes. */
static void pass_data(struct bridge_client *c)
{
	size_t len = c->data_len;

	c->data_len = 0;
	if (!len)
		return;
	c->bytes_in += len;
	c->ops->take(c->ctx, c, c->in, len, c->read_ns);
}

static uint32_t apply(void *ctx, enum rfc2217_command command, uint32_t value)
{
	struct bridge_client *c = ctx;

	pass_data(c);
	return c->ops->apply(c->ctx, c, command, value);
}

static void purge(void *ctx, uint8_t what)
{
	struct bridge_client *c = ctx;

	pass_data(c);
	c->ops->purge(c->ctx, c, what);
}

static void flow(void *ctx, bool suspend)
{
	struct bridge_client *c = ctx;

	if (!suspend)
		c->ops->drained(c->ctx, c);
}

static void brk(void *ctx)
{
	struct bridge_client *c = ctx;

	pass_data(c);
	c->ops->brk(c->ctx, c);
}

static const struct rfc2217_server_ops server_ops = { apply, purge, flow, brk };

/* What the machine has to say, as long as the client reads its answers. */
static int answer(struct bridge_client *c)
{
	const uint8_t *out;
	size_t n;

	while (stream_pending(&c->stream) <= BRIDGE_CLIENT_ANSWERS &&
	       (n = rfc2217_server_pull(&c->server, &out)) > 0)
		if (stream_write(&c->stream, out, n) < 0)
			return -1;
	return 0;
}

/* What the lines did while the machine was at work. */
static void tell_lines(struct bridge_client *c)
{
	if (c->lines_due)
		rfc2217_server_modemstate(&c->server, c->lines);
	c->lines_due = false;
}

/* Decoded data gathers at the beginning of the buffer, behind the place that is decoded. */
static int decode(struct bridge_client *c)
{
	while (c->in_at < c->in_len && !c->dead) {
		const uint8_t *data;
		size_t n, used;

		c->decoding = true;
		used = rfc2217_server_feed(&c->server, c->in + c->in_at, c->in_len - c->in_at,
					   &data, &n);
		c->decoding = false;
		tell_lines(c);
		if (n && c->in + c->data_len != data)
			memmove(c->in + c->data_len, data, n);
		c->data_len += n;
		c->in_at += used;
		if (n || c->in_at == c->in_len)
			continue;
		if (answer(c) < 0)
			return -1;
		if (used == 0 && stream_pending(&c->stream) > BRIDGE_CLIENT_ANSWERS)
			break; /* it does not read its answers */
	}
	pass_data(c);
	if (c->dead)
		return 0;
	if (c->server.agreed && !c->told_agreed) {
		c->told_agreed = true;
		c->ops->agreed(c->ctx, c);
	}
	return answer(c);
}

static int look_at_input(struct bridge_client *c)
{
	if (c->role == BRIDGE_LEAVING) {
		c->in_at = c->in_len;
		return 0;
	}
	if (c->kind == BRIDGE_RFC2217)
		return decode(c);
	c->data_len = c->in_len;
	c->in_at = c->in_len;
	pass_data(c);
	return 0;
}

static bool is_held(struct bridge_client *c)
{
	return c->role != BRIDGE_LEAVING &&
	       (c->finished || c->in_at < c->in_len ||
		stream_pending(&c->stream) > BRIDGE_CLIENT_ANSWERS || c->ops->blocked(c->ctx, c));
}

static void leave(struct timer *t, uint64_t now_ns)
{
	(void)now_ns;
	end(CONTAINER_OF(t, struct bridge_client, leave), "closed");
}

/* A client may close its sending side and wait for what is still to come. */
static void input_ended(struct bridge_client *c)
{
	if (c->stream.failed || c->role != BRIDGE_OWNER || c->kind == BRIDGE_PTY) {
		end(c, "closed");
		return;
	}
	c->finished = true;
	stream_pause(&c->stream, true);
	timer_set(c->stream.loop, &c->leave, loop_now(c->stream.loop) + linger_ns, leave);
	c->ops->finished(c->ctx, c);
}

static void readable(struct stream *s)
{
	struct bridge_client *c = CONTAINER_OF(s, struct bridge_client, stream);
	ssize_t n;

	c->read_ns = clock_now();
	n = stream_read(s, c->in, sizeof(c->in));
	if (n == 0)
		return;
	if (n < 0) {
		input_ended(c);
		return;
	}
	c->in_at = 0;
	c->in_len = (size_t)n;
	bridge_client_go_on(c);
}

bool bridge_client_go_on(struct bridge_client *c)
{
	bool failed = false;

	if (c->in_at < c->in_len && c->role != BRIDGE_WAITER && !c->ops->blocked(c->ctx, c))
		failed = look_at_input(c) < 0;
	else if (c->kind == BRIDGE_RFC2217 && c->role != BRIDGE_LEAVING)
		failed = answer(c) < 0;
	if (c->dead)
		return false;
	if (failed || c->stream.failed) {
		end(c, "connection lost");
		return false;
	}
	stream_pause(&c->stream, is_held(c));
	return true;
}

void bridge_client_finish(struct bridge_client *c)
{
	while (!c->dead && !c->finished && !is_held(c))
		readable(&c->stream);
}

static void drained(struct stream *s)
{
	struct bridge_client *c = CONTAINER_OF(s, struct bridge_client, stream);

	if (c->stream.failed) {
		end(c, "connection lost");
		return;
	}
	if (bridge_client_go_on(c))
		c->ops->drained(c->ctx, c);
}

static void gone(struct stream *s, bool dead)
{
	struct bridge_client *c = CONTAINER_OF(s, struct bridge_client, stream);

	/* what a client sent before it closed is still delivered */
	if (dead)
		end(c, "connection lost");
}

static const struct stream_ops stream_ops = { readable, drained, gone };

int bridge_client_new(struct bridge_client **out, struct loop *l, int fd, enum bridge_kind kind,
		      const char *name, const struct rfc2217_port *port, const char *signature,
		      const struct bridge_client_ops *ops, void *ctx, struct err *e)
{
	struct bridge_client *c = calloc(1, sizeof(*c));

	if (!c) {
		fd_close(&fd);
		return err_nomem(e);
	}
	c->ops = ops;
	c->ctx = ctx;
	c->kind = kind;
	c->since_ns = loop_now(l);
	snprintf(c->name, sizeof(c->name), "%s", name);
	if (stream_init(&c->stream, l, fd, BRIDGE_CLIENT_OUT, &stream_ops, e) < 0) {
		free(c);
		return -1;
	}
	if (kind == BRIDGE_RFC2217)
		rfc2217_server_init(&c->server, &server_ops, c, port, signature);
	*out = c;
	return 0;
}

void bridge_client_end(struct bridge_client *c)
{
	c->dead = true;
	timer_cancel(c->stream.loop, &c->leave);
	stream_done(&c->stream);
}

void bridge_client_free(struct bridge_client *c)
{
	if (!c)
		return;
	bridge_client_end(c);
	free(c);
}

void bridge_client_open(struct bridge_client *c, uint8_t levels)
{
	timer_cancel(c->stream.loop, &c->leave);
	if (c->kind != BRIDGE_RFC2217)
		return;
	rfc2217_server_start(&c->server);
	rfc2217_server_modemstate(&c->server, levels);
	if (answer(c) < 0)
		c->stream.failed = true;
}

int bridge_client_send(struct bridge_client *c, const void *data, size_t len, uint8_t *escape)
{
	size_t used;

	c->bytes_out += len;
	if (c->kind == BRIDGE_RFC2217 && !telnet_plain(data, len)) {
		len = telnet_escape(escape, 2 * len, data, len, &used);
		data = escape;
	}
	return stream_write(&c->stream, data, len);
}

bool bridge_client_is_full(const struct bridge_client *c)
{
	return stream_pending(&c->stream) > 0 || (c->kind == BRIDGE_RFC2217 && c->server.suspended);
}

static void waited(struct timer *t, uint64_t now_ns)
{
	struct bridge_client *c = CONTAINER_OF(t, struct bridge_client, leave);

	(void)now_ns;
	c->ops->waited(c->ctx, c);
}

void bridge_client_wait(struct bridge_client *c, uint64_t wait_ns)
{
	c->role = BRIDGE_WAITER;
	stream_pause(&c->stream, true);
	if (wait_ns)
		timer_set(c->stream.loop, &c->leave, loop_now(c->stream.loop) + wait_ns, waited);
}

void bridge_client_dismiss(struct bridge_client *c, const char *line)
{
	c->role = BRIDGE_LEAVING;
	stream_write(&c->stream, line, strlen(line));
	/* a close with unread bytes would be a reset, which takes the line with it */
	shutdown(c->stream.fd, SHUT_WR);
	stream_pause(&c->stream, false);
	timer_set(c->stream.loop, &c->leave, loop_now(c->stream.loop) + leave_ns, leave);
}

void bridge_client_lines(struct bridge_client *c, uint8_t levels)
{
	if (c->kind != BRIDGE_RFC2217 || c->role == BRIDGE_LEAVING || c->dead)
		return;
	if (c->decoding) {
		c->lines = levels;
		c->lines_due = true;
		return;
	}
	rfc2217_server_modemstate(&c->server, levels);
	if (answer(c) < 0)
		c->stream.failed = true;
}

void bridge_client_errors(struct bridge_client *c, uint8_t bits)
{
	if (c->kind != BRIDGE_RFC2217 || c->role == BRIDGE_LEAVING || c->dead)
		return;
	rfc2217_server_linestate(&c->server, bits);
	rfc2217_server_linestate(&c->server, 0);
	if (answer(c) < 0)
		c->stream.failed = true;
}
