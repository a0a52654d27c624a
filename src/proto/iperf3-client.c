#include "proto/iperf3-client.h"

#include <stdio.h>
#include <string.h>

int iperf3_client_init(struct iperf3_client *c, const uint8_t cookie[IPERF3_COOKIE],
		       const char *params, size_t params_len, struct err *e)
{
	memset(c, 0, sizeof(*c));
	buf_init(&c->in, IPERF3_RESULTS_MAX + 64);
	c->params = params;
	c->params_len = params_len;
	return buf_add(&c->out, cookie, IPERF3_COOKIE) < 0 ? err_nomem(e) : 0;
}

void iperf3_client_done(struct iperf3_client *c)
{
	buf_done(&c->in);
	buf_done(&c->out);
	iperf3_results_done(&c->peer);
}

int iperf3_client_feed(struct iperf3_client *c, const void *bytes, size_t len, struct err *e)
{
	if (buf_add(&c->in, bytes, len) == 0)
		return 0;
	if (c->in.len + len > IPERF3_RESULTS_MAX)
		return err_set(e, ERR_TARGET, "protocol", "the server sends more than it may");
	return err_nomem(e);
}

static uint32_t number(const char *at)
{
	const uint8_t *b = (const uint8_t *)at;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* The reason behind SERVER_ERROR: iperf3's number and the system's, of which some versions send one or none. */
static int server_error(const struct iperf3_client *c, struct err *e)
{
	char reason[96], system[96];
	const char *text;
	int32_t code, sys;

	if (c->in.len < 4)
		return err_set(e, ERR_TARGET, "server-error-bare",
			       "the server refuses the test and does not say why");
	code = (int32_t)number(c->in.data);
	text = iperf3_error_text(code);
	snprintf(reason, sizeof(reason), "%s%serror %d", text ? text : "", text ? ", " : "", code);
	if (c->in.len < 8)
		return err_set(e, ERR_TARGET, "server-error-short",
			       "the server refuses the test: %s (it does not say the system's)",
			       reason);
	sys = (int32_t)number(c->in.data + 4);
	if (sys == 0)
		return err_set(e, ERR_TARGET, "server-error", "the server refuses the test: %s",
			       reason);
	return err_set(e, ERR_TARGET, "server-error", "the server refuses the test: %s (there: %s)",
		       reason, strerror_r(sys, system, sizeof(system)));
}

static int unexpected(const struct iperf3_client *c, uint8_t byte, struct err *e)
{
	char a[24], b[24];

	return err_set(e, ERR_TARGET, "protocol", "the server sent %s%s%s",
		       iperf3_state_name(byte, a), c->state ? " after " : " first",
		       c->state ? iperf3_state_name(c->state, b) : "");
}

/* Which state may follow which. A server that ends a test by itself goes from running to the results. */
static bool may_follow(const struct iperf3_client *c, uint8_t byte)
{
	switch (byte) {
	case IPERF3_PARAM_EXCHANGE:
		return c->state == 0;
	case IPERF3_CREATE_STREAMS:
		return c->state == IPERF3_PARAM_EXCHANGE;
	case IPERF3_TEST_START:
		return c->state == IPERF3_CREATE_STREAMS;
	case IPERF3_TEST_RUNNING:
		return c->state == IPERF3_TEST_START;
	case IPERF3_EXCHANGE_RESULTS:
		return c->state == IPERF3_TEST_RUNNING;
	case IPERF3_DISPLAY_RESULTS:
		return c->state == IPERF3_EXCHANGE_RESULTS && c->have_peer;
	default:
		return false;
	}
}

static int act(struct iperf3_client *c, uint8_t byte, enum iperf3_client_event *out, struct err *e)
{
	switch (byte) {
	case IPERF3_PARAM_EXCHANGE:
		*out = IPERF3_CLIENT_MORE;
		return iperf3_frame(&c->out, c->params, c->params_len) < 0 ? err_nomem(e) : 0;
	case IPERF3_CREATE_STREAMS:
		*out = IPERF3_CLIENT_CREATE;
		return 0;
	case IPERF3_TEST_START:
		*out = IPERF3_CLIENT_START;
		return 0;
	case IPERF3_TEST_RUNNING:
		*out = IPERF3_CLIENT_RUN;
		return 0;
	case IPERF3_EXCHANGE_RESULTS:
		*out = IPERF3_CLIENT_RESULTS;
		return 0;
	default:
		*out = IPERF3_CLIENT_DONE;
		return buf_addc(&c->out, IPERF3_DONE) < 0 ? err_nomem(e) : 0;
	}
}

static int take_state(struct iperf3_client *c, enum iperf3_client_event *out, struct err *e)
{
	uint8_t byte = (uint8_t)c->in.data[0];

	buf_drop(&c->in, 1);
	switch (byte) {
	case IPERF3_ACCESS_DENIED:
		return err_set(e, ERR_TARGET, "busy",
			       "the server is busy with another test (see --busy-retry)");
	case IPERF3_SERVER_TERMINATE:
		return err_set(e, ERR_TARGET, "server-terminated",
			       "the server was stopped during the test");
	case IPERF3_SERVER_ERROR:
		c->failing = true;
		return c->in.len >= 8 ? server_error(c, e) : 0;
	default:
		break;
	}
	if (!may_follow(c, byte))
		return unexpected(c, byte, e);
	c->state = byte;
	return act(c, byte, out, e);
}

/* The server's results: a length, and JSON behind it. */
static int take_results(struct iperf3_client *c, enum iperf3_client_event *out, struct err *e)
{
	uint32_t len;

	if (c->in.len < 4)
		return 0;
	len = number(c->in.data);
	if (len == 0 || len > IPERF3_RESULTS_MAX)
		return err_set(e, ERR_TARGET, "protocol",
			       "the server announces results of %u bytes", len);
	if (c->in.len - 4 < len)
		return 0;
	if (iperf3_results_decode(&c->peer, c->in.data + 4, len, e) < 0)
		return -1;
	c->have_peer = true;
	buf_drop(&c->in, 4 + (size_t)len);
	*out = IPERF3_CLIENT_PEER;
	return 0;
}

int iperf3_client_next(struct iperf3_client *c, enum iperf3_client_event *out, struct err *e)
{
	size_t before;

	*out = IPERF3_CLIENT_MORE;
	do {
		int rc;

		before = c->in.len;
		if (before == 0)
			return 0;
		if (c->failing)
			return before >= 8 ? server_error(c, e) : 0;
		rc = c->results_sent && !c->have_peer ? take_results(c, out, e)
						      : take_state(c, out, e);
		if (rc < 0)
			return -1;
	} while (*out == IPERF3_CLIENT_MORE && c->in.len < before);
	return 0;
}

int iperf3_client_eof(const struct iperf3_client *c, struct err *e)
{
	const char *code;

	if (c->failing)
		return server_error(c, e);
	switch (c->state) {
	case 0:
		return err_set(e, ERR_TARGET, "closed-at-once",
			       "the server closed the connection at once: is it iperf3?");
	case IPERF3_PARAM_EXCHANGE:
		return err_set(
			e, ERR_TARGET, "refused-params",
			"the server closed the connection after the parameters: it refuses them, or "
			"wants authentication (which mpbench has not)");
	case IPERF3_CREATE_STREAMS:
		code = "closed-in-setup";
		break;
	case IPERF3_TEST_START:
		code = "closed-before-test";
		break;
	case IPERF3_TEST_RUNNING:
		code = c->ended ? "closed-after-test" : "closed-in-test";
		break;
	case IPERF3_EXCHANGE_RESULTS:
		code = c->have_peer ? "closed-after-results" : "closed-before-results";
		break;
	default:
		return 0;
	}
	return err_set(e, ERR_TARGET, code, "the server closed the connection while %s",
		       iperf3_client_waits_for(c));
}

int iperf3_client_end(struct iperf3_client *c, struct err *e)
{
	if (c->ended)
		return 0;
	c->ended = true;
	return buf_addc(&c->out, IPERF3_TEST_END) < 0 ? err_nomem(e) : 0;
}

int iperf3_client_results(struct iperf3_client *c, const struct iperf3_results *ours, struct err *e)
{
	CLEANUP(buf_done) struct buf json = BUF_INIT;

	if (iperf3_results_encode(ours, &json, e) < 0)
		return -1;
	c->results_sent = true;
	return iperf3_frame(&c->out, json.data, json.len) < 0 ? err_nomem(e) : 0;
}

void iperf3_client_terminate(struct iperf3_client *c)
{
	(void)buf_addc(&c->out, IPERF3_CLIENT_TERMINATE);
}

const char *iperf3_client_waits_for(const struct iperf3_client *c)
{
	switch (c->state) {
	case 0:
		return "it was to ask for the parameters";
	case IPERF3_PARAM_EXCHANGE:
		return "it was to accept the parameters";
	case IPERF3_CREATE_STREAMS:
		return "the streams were set up";
	case IPERF3_TEST_START:
		return "the test was to begin";
	case IPERF3_TEST_RUNNING:
		return c->ended ? "it was to ask for the results" : "the test ran";
	case IPERF3_EXCHANGE_RESULTS:
		return c->have_peer ? "it was to end the test" : "it was to send its results";
	default:
		return "the test was over";
	}
}
