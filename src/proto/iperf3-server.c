#include "proto/iperf3-server.h"

#include <string.h>

static int say(struct iperf3_server *s, uint8_t state, struct err *e)
{
	s->state = state;
	return buf_addc(&s->out, (char)state) < 0 ? err_nomem(e) : 0;
}

int iperf3_server_init(struct iperf3_server *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	buf_init(&s->in, IPERF3_RESULTS_MAX + 64);
	return say(s, IPERF3_PARAM_EXCHANGE, e);
}

void iperf3_server_done(struct iperf3_server *s)
{
	buf_done(&s->in);
	buf_done(&s->out);
	iperf3_results_done(&s->peer);
}

int iperf3_server_feed(struct iperf3_server *s, const void *bytes, size_t len, struct err *e)
{
	if (buf_add(&s->in, bytes, len) == 0)
		return 0;
	if (s->in.len + len > IPERF3_RESULTS_MAX)
		return err_set(e, ERR_TARGET, "protocol", "the client sends more than it may");
	return err_nomem(e);
}

/* A complete JSON at the front: its length, 0 while it is not all there. */
static int framed(const struct iperf3_server *s, uint32_t most, const char *what, uint32_t *len,
		  struct err *e)
{
	const uint8_t *b = (const uint8_t *)s->in.data;
	uint32_t announced;

	*len = 0;
	if (s->in.len < 4)
		return 0;
	announced = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	if (announced == 0 || announced > most)
		return err_set(e, ERR_TARGET, "protocol", "the client announces %s of %u bytes",
			       what, announced);
	if (s->in.len - 4 >= announced)
		*len = announced;
	return 0;
}

static int take_params(struct iperf3_server *s, enum iperf3_server_event *out, struct err *e)
{
	int32_t refusal = 114;
	uint32_t len;

	if (framed(s, IPERF3_PARAMS_MAX, "parameters", &len, e) < 0) {
		iperf3_server_refuse(s, refusal, 0);
		return -1;
	}
	if (len == 0)
		return 0;
	if (iperf3_params_decode(&s->params, s->in.data + 4, len, &refusal, e) < 0) {
		iperf3_server_refuse(s, refusal, 0);
		return -1;
	}
	buf_drop(&s->in, 4 + (size_t)len);
	*out = IPERF3_SERVER_PARAMS;
	return 0;
}

static int take_results(struct iperf3_server *s, enum iperf3_server_event *out, struct err *e)
{
	uint32_t len;

	if (framed(s, IPERF3_RESULTS_MAX, "results", &len, e) < 0)
		return -1;
	if (len == 0)
		return 0;
	if (iperf3_results_decode(&s->peer, s->in.data + 4, len, e) < 0)
		return -1;
	buf_drop(&s->in, 4 + (size_t)len);
	*out = IPERF3_SERVER_RESULTS;
	return 0;
}

static int take_state(struct iperf3_server *s, enum iperf3_server_event *out, struct err *e)
{
	uint8_t byte = (uint8_t)s->in.data[0];
	char a[24], b[24];

	buf_drop(&s->in, 1);
	if (byte == IPERF3_CLIENT_TERMINATE) {
		/* what newer servers answer; older ones only close */
		iperf3_server_refuse(s, 119, 0);
		return err_set(e, ERR_TARGET, "client-terminated", "the client gave up");
	}
	if (byte == IPERF3_TEST_END && s->state == IPERF3_TEST_RUNNING && !s->ended) {
		s->ended = true;
		*out = IPERF3_SERVER_END;
		return 0;
	}
	if (byte == IPERF3_DONE && s->state == IPERF3_DISPLAY_RESULTS) {
		s->state = IPERF3_DONE;
		*out = IPERF3_SERVER_DONE;
		return 0;
	}
	return err_set(e, ERR_TARGET, "protocol", "the client sent %s in %s",
		       iperf3_state_name(byte, a), iperf3_state_name(s->state, b));
}

int iperf3_server_next(struct iperf3_server *s, enum iperf3_server_event *out, struct err *e)
{
	*out = IPERF3_SERVER_MORE;
	if (s->in.len == 0)
		return 0;
	switch (s->state) {
	case IPERF3_PARAM_EXCHANGE:
		return take_params(s, out, e);
	case IPERF3_EXCHANGE_RESULTS:
		return take_results(s, out, e);
	default:
		return take_state(s, out, e);
	}
}

int iperf3_server_eof(const struct iperf3_server *s, struct err *e)
{
	char text[24];

	if (s->state == IPERF3_DISPLAY_RESULTS || s->state == IPERF3_DONE)
		return 0;
	return err_set(e, ERR_TARGET, "closed", "the client closed the connection in %s",
		       iperf3_state_name(s->state, text));
}

int iperf3_server_accept(struct iperf3_server *s, struct err *e)
{
	return say(s, IPERF3_CREATE_STREAMS, e);
}

void iperf3_server_refuse(struct iperf3_server *s, int32_t code, int32_t sys)
{
	const uint32_t c = (uint32_t)code, y = (uint32_t)sys;
	const uint8_t bytes[9] = {
		IPERF3_SERVER_ERROR, (uint8_t)(c >> 24), (uint8_t)(c >> 16),
		(uint8_t)(c >> 8),   (uint8_t)c,	 (uint8_t)(y >> 24),
		(uint8_t)(y >> 16),  (uint8_t)(y >> 8),	 (uint8_t)y,
	};

	/* without memory the client sees only the end of the connection */
	(void)buf_add(&s->out, bytes, sizeof(bytes));
}

int iperf3_server_start(struct iperf3_server *s, struct err *e)
{
	return say(s, IPERF3_TEST_START, e) < 0 || say(s, IPERF3_TEST_RUNNING, e) < 0 ? -1 : 0;
}

int iperf3_server_exchange(struct iperf3_server *s, struct err *e)
{
	return say(s, IPERF3_EXCHANGE_RESULTS, e);
}

int iperf3_server_results(struct iperf3_server *s, const struct iperf3_results *ours, struct err *e)
{
	CLEANUP(buf_done) struct buf json = BUF_INIT;

	if (iperf3_results_encode(ours, &json, e) < 0)
		return -1;
	if (iperf3_frame(&s->out, json.data, json.len) < 0)
		return err_nomem(e);
	return say(s, IPERF3_DISPLAY_RESULTS, e);
}

void iperf3_server_terminate(struct iperf3_server *s)
{
	(void)buf_addc(&s->out, IPERF3_SERVER_TERMINATE);
}
