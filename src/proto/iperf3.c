#include "proto/iperf3.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

CLEANUP_PTR(json_t, json_decref)

void iperf3_cookie(uint8_t out[IPERF3_COOKIE], const uint8_t random[IPERF3_COOKIE])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

	for (size_t i = 0; i + 1 < IPERF3_COOKIE; i++)
		out[i] = (uint8_t)alphabet[random[i] % 32];
	out[IPERF3_COOKIE - 1] = 0;
}

const char *iperf3_state_name(uint8_t state, char text[24])
{
	static const struct {
		uint8_t state;
		const char *name;
	} names[] = {
		{ IPERF3_TEST_START, "TEST_START" },
		{ IPERF3_TEST_RUNNING, "TEST_RUNNING" },
		{ IPERF3_TEST_END, "TEST_END" },
		{ IPERF3_PARAM_EXCHANGE, "PARAM_EXCHANGE" },
		{ IPERF3_CREATE_STREAMS, "CREATE_STREAMS" },
		{ IPERF3_SERVER_TERMINATE, "SERVER_TERMINATE" },
		{ IPERF3_CLIENT_TERMINATE, "CLIENT_TERMINATE" },
		{ IPERF3_EXCHANGE_RESULTS, "EXCHANGE_RESULTS" },
		{ IPERF3_DISPLAY_RESULTS, "DISPLAY_RESULTS" },
		{ IPERF3_DONE, "IPERF_DONE" },
		{ IPERF3_ACCESS_DENIED, "ACCESS_DENIED" },
		{ IPERF3_SERVER_ERROR, "SERVER_ERROR" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].state == state)
			return names[i].name;
	snprintf(text, 24, "state 0x%02x", state);
	return text;
}

const char *iperf3_error_text(int32_t code)
{
	static const struct {
		int32_t code;
		const char *text;
	} texts[] = {
		{ 5, "test duration out of range" },
		{ 6, "number of parallel streams out of range" },
		{ 7, "block size out of range" },
		{ 8, "socket buffer size out of range" },
		{ 10, "segment size out of range" },
		{ 12, "omit time out of range" },
		{ 15, "burst out of range" },
		{ 20, "datagram size out of range" },
		{ 27, "the total bit rate is above the server's limit" },
		{ 37, "the test is longer than the server allows" },
		{ 102, "cannot listen" },
		{ 103, "cannot connect" },
		{ 104, "cannot accept" },
		{ 110, "unexpected control message" },
		{ 114, "parameters cannot be read" },
		{ 117, "results cannot be read" },
		{ 119, "the client has terminated" },
		{ 120, "the server has terminated" },
		{ 121, "the server is busy" },
		{ 123, "segment size cannot be set" },
		{ 124, "socket buffer cannot be set" },
		{ 125, "type of service cannot be set" },
		{ 131, "protocol not supported" },
		{ 132, "CPU affinity cannot be set" },
		{ 134, "congestion control algorithm not supported" },
		{ 142, "test authorization failed" },
		{ 160, "the server's time for this test is over" },
		{ 200, "cannot create a stream" },
		{ 202, "cannot listen for streams" },
		{ 203, "cannot connect a stream" },
		{ 204, "cannot accept a stream" },
		{ 205, "cannot write to a stream" },
		{ 206, "cannot read from a stream" },
		{ 208, "results of an unknown stream" },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return NULL;
}

/* --- writing: every constructor of jansson may fail, and one unchecked loses a key silently ----------------- */

static bool put(json_t *o, const char *key, json_t *value)
{
	return value && json_object_set_new(o, key, value) == 0;
}

static bool put_count(json_t *o, const char *key, uint64_t value)
{
	return value == 0 || put(o, key, json_integer((json_int_t)value));
}

static bool put_true(json_t *o, const char *key, bool value)
{
	return !value || put(o, key, json_true());
}

static bool put_one(json_t *o, const char *key, bool value)
{
	return !value || put(o, key, json_integer(1));
}

static bool put_text(json_t *o, const char *key, const char *value)
{
	return !*value || put(o, key, json_string(value));
}

static bool put_real(json_t *o, const char *key, double value)
{
	return put(o, key, json_real(isfinite(value) ? value : 0));
}

static int dump(json_t *o, struct buf *out, struct err *e)
{
	CLEANUP_FREE char *text = json_dumps(o, JSON_COMPACT);

	if (!text || buf_adds(out, text) < 0)
		return err_nomem(e);
	return 0;
}

/* The order is that of iperf3 3.12: nobody has to care, but captures can be laid side by side. */
int iperf3_params_encode(const struct iperf3_params *p, struct buf *out, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();
	bool ok = o && put(o, p->udp ? "udp" : "tcp", json_true()) &&
		  put(o, "omit", json_integer(p->omit_s)) &&
		  (p->server_affinity < 0 ||
		   put(o, "server_affinity", json_integer(p->server_affinity))) &&
		  put(o, "time", json_integer(p->time_s)) &&
		  put(o, "num", json_integer((json_int_t)p->num)) &&
		  put(o, "blockcount", json_integer((json_int_t)p->blockcount)) &&
		  put_count(o, "MSS", p->mss) && put_true(o, "nodelay", p->nodelay) &&
		  put(o, "parallel", json_integer(p->parallel)) &&
		  put_true(o, "reverse", p->reverse) && put_true(o, "bidirectional", p->bidir) &&
		  put_count(o, "window", p->window) && put_count(o, "len", p->len) &&
		  put_count(o, "bandwidth", p->bandwidth) && put_count(o, "fqrate", p->fqrate) &&
		  put_count(o, "pacing_timer", p->pacing_timer_us) &&
		  put_count(o, "burst", p->burst) && put_count(o, "TOS", p->tos) &&
		  put_count(o, "flowlabel", p->flow_label) && put_text(o, "title", p->title) &&
		  put_text(o, "extra_data", p->extra_data) &&
		  put_text(o, "congestion", p->congestion) &&
		  put_one(o, "get_server_output", p->get_server_output) &&
		  put_one(o, "udp_counters_64bit", p->udp64) &&
		  put_one(o, "repeating_payload", p->repeating_payload) &&
		  put_one(o, "zerocopy", p->zerocopy) &&
		  put_one(o, "dont_fragment", p->dont_fragment) &&
		  put_one(o, "skip_rx_copy", p->skip_rx_copy) &&
		  put_text(o, "client_version", p->client_version);

	return ok ? dump(o, out, e) : err_nomem(e);
}

/* --- reading -------------------------------------------------------------------------------------------------- */

/* Numbers beyond 2^63, as 3.12 and 3.13 write -1, are read as reals; all others stay exact. */
static json_t *parse(const char *text, size_t len)
{
	json_t *o = json_loadb(text, len, 0, NULL);

	if (!o)
		o = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, NULL);
	if (o && !json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* An integer as its sender meant it: 2^63 and more is the -1 that lost its sign. False for what is no number. */
static bool get_integer(const json_t *o, const char *key, int64_t *out)
{
	const json_t *v = json_object_get(o, key);
	double real = json_number_value(v);

	if (!json_is_number(v))
		return false;
	if (json_is_integer(v))
		*out = json_integer_value(v);
	else if (real >= 9223372036854775808.0)
		*out = -1;
	else if (real < -9223372036854775808.0)
		*out = INT64_MIN;
	else
		*out = (int64_t)real;
	return true;
}

static bool get_true(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_true(v) || (json_is_number(v) && json_number_value(v) != 0);
}

static void get_text(const json_t *o, const char *key, char out[IPERF3_TEXT_MAX])
{
	const char *text = json_string_value(json_object_get(o, key));

	if (text)
		snprintf(out, IPERF3_TEXT_MAX, "%s", text);
}

static int refuse(int32_t *refusal, int32_t code, const char *key, int64_t value, struct err *e)
{
	*refusal = code;
	return err_set(e, ERR_TARGET, "parameters", "parameter %s is %lld: %s", key,
		       (long long)value, iperf3_error_text(code));
}

struct bound {
	const char *key;
	int64_t min, max;
	int32_t code;
};

static int get_bounded(const json_t *o, const struct bound *b, int64_t *value, int32_t *refusal,
		       struct err *e)
{
	int64_t got;

	if (!get_integer(o, b->key, &got))
		return 0;
	if (got < b->min || got > b->max)
		return refuse(refusal, b->code, b->key, got, e);
	*value = got;
	return 0;
}

enum { N_OMIT, N_TIME, N_NUM, N_BLOCKS, N_PARALLEL, N_LEN, N_RATE, N_FQ, N_TIMER, N_BURST };
enum { N_WINDOW = N_BURST + 1, N_MSS, N_TOS, N_AFFINITY, N_COUNT };

static int get_numbers(const json_t *o, int64_t n[N_COUNT], int32_t *refusal, struct err *e)
{
	static const struct bound bounds[N_COUNT] = {
		[N_OMIT] = { "omit", 0, IPERF3_OMIT_MAX_S, 12 },
		[N_TIME] = { "time", 0, IPERF3_TIME_MAX_S, 5 },
		[N_NUM] = { "num", 0, INT64_MAX, 114 },
		[N_BLOCKS] = { "blockcount", 0, INT64_MAX, 114 },
		[N_PARALLEL] = { "parallel", 1, IPERF3_STREAMS_MAX, 6 },
		[N_LEN] = { "len", 0, IPERF3_LEN_MAX, 7 },
		[N_RATE] = { "bandwidth", 0, INT64_MAX, 114 },
		[N_FQ] = { "fqrate", 0, INT64_MAX, 114 },
		[N_TIMER] = { "pacing_timer", 0, INT32_MAX, 114 },
		[N_BURST] = { "burst", 0, 1000, 15 },
		[N_WINDOW] = { "window", 0, 512 << 20, 8 },
		[N_MSS] = { "MSS", 0, 9216, 10 },
		[N_TOS] = { "TOS", 0, 255, 114 },
		[N_AFFINITY] = { "server_affinity", -1, 1 << 16, 132 },
	};

	for (int i = 0; i < N_COUNT; i++)
		if (get_bounded(o, &bounds[i], &n[i], refusal, e) < 0)
			return -1;
	return 0;
}

static void fill_params(struct iperf3_params *p, const json_t *o, const int64_t n[N_COUNT])
{
	p->omit_s = (uint32_t)n[N_OMIT];
	p->time_s = (uint32_t)n[N_TIME];
	p->num = (uint64_t)n[N_NUM];
	p->blockcount = (uint64_t)n[N_BLOCKS];
	p->parallel = (uint32_t)n[N_PARALLEL];
	p->len = (uint64_t)n[N_LEN];
	p->bandwidth = (uint64_t)n[N_RATE];
	p->fqrate = (uint64_t)n[N_FQ];
	p->pacing_timer_us = (uint32_t)n[N_TIMER];
	p->burst = (uint32_t)n[N_BURST];
	p->window = (uint32_t)n[N_WINDOW];
	p->mss = (uint32_t)n[N_MSS];
	p->tos = (uint32_t)n[N_TOS];
	p->server_affinity = (int32_t)n[N_AFFINITY];
	p->udp = get_true(o, "udp");
	p->reverse = get_true(o, "reverse");
	p->bidir = get_true(o, "bidirectional");
	p->nodelay = get_true(o, "nodelay");
	p->dont_fragment = get_true(o, "dont_fragment");
	p->get_server_output = get_true(o, "get_server_output");
	p->udp64 = get_true(o, "udp_counters_64bit");
	p->repeating_payload = get_true(o, "repeating_payload");
	p->zerocopy = get_true(o, "zerocopy");
	p->skip_rx_copy = get_true(o, "skip_rx_copy");
	p->authtoken = json_is_string(json_object_get(o, "authtoken"));
	get_text(o, "congestion", p->congestion);
	get_text(o, "title", p->title);
	get_text(o, "extra_data", p->extra_data);
	get_text(o, "client_version", p->client_version);
}

int iperf3_params_decode(struct iperf3_params *out, const char *text, size_t len, int32_t *refusal,
			 struct err *e)
{
	CLEANUP(json_decref) json_t *o = parse(text, len);
	int64_t n[N_COUNT] = { [N_PARALLEL] = 1, [N_TIMER] = 1000, [N_AFFINITY] = -1 };

	memset(out, 0, sizeof(*out));
	if (!o) {
		*refusal = 114;
		return err_set(e, ERR_TARGET, "parameters", "the parameters are no JSON object");
	}
	if (get_numbers(o, n, refusal, e) < 0)
		return -1;
	fill_params(out, o, n);
	if (get_true(o, "sctp")) {
		*refusal = 131;
		return err_set(e, ERR_TARGET, "parameters", "SCTP is not supported");
	}
	if (out->udp && (out->len < IPERF3_UDP_LEN_MIN || out->len > IPERF3_UDP_LEN_MAX) &&
	    out->len)
		return refuse(refusal, 20, "len", n[N_LEN], e);
	return 0;
}

static bool add_stream(json_t *list, const struct iperf3_stream_result *s)
{
	json_t *o = json_object();
	bool ok = o && put(o, "id", json_integer(s->id)) &&
		  put(o, "bytes", json_integer((json_int_t)s->bytes)) &&
		  put(o, "retransmits", json_integer(s->retransmits)) &&
		  put_real(o, "jitter", s->jitter_s) && put(o, "errors", json_integer(s->errors)) &&
		  put(o, "packets", json_integer(s->packets));

	if (ok && s->has_omitted)
		ok = put(o, "omitted_errors", json_integer(s->omitted_errors)) &&
		     put(o, "omitted_packets", json_integer(s->omitted_packets));
	if (ok && s->has_exact)
		ok = put(o, "unique_packets", json_integer(s->unique)) &&
		     put(o, "duplicate_packets", json_integer(s->duplicates)) &&
		     put(o, "reordered_packets", json_integer(s->reordered)) &&
		     put(o, "late_packets", json_integer(s->late));
	ok = ok && put_real(o, "start_time", s->start_s) && put_real(o, "end_time", s->end_s);
	if (!ok) {
		json_decref(o);
		return false;
	}
	return json_array_append_new(list, o) == 0;
}

int iperf3_results_encode(const struct iperf3_results *r, struct buf *out, struct err *e)
{
	CLEANUP(json_decref) json_t *o = json_object();
	json_t *list = json_array();
	bool ok = o && put_real(o, "cpu_util_total", r->cpu_total) &&
		  put_real(o, "cpu_util_user", r->cpu_user) &&
		  put_real(o, "cpu_util_system", r->cpu_system) &&
		  put(o, "sender_has_retransmits", json_integer(r->has_retransmits)) &&
		  put_text(o, "congestion_used", r->congestion);

	for (size_t i = 0; ok && list && i < r->n; i++)
		ok = add_stream(list, &r->stream[i]);
	if (!o) {
		json_decref(list);
		return err_nomem(e);
	}
	ok = put(o, "streams", list) && ok;
	if (ok && r->server_output && r->output_is_json)
		ok = put(o, "server_output_json",
			 json_loads(r->server_output, JSON_ALLOW_NUL, NULL));
	else if (ok && r->server_output)
		ok = put(o, "server_output_text", json_string(r->server_output));
	return ok ? dump(o, out, e) : err_nomem(e);
}

static int bad_results(struct err *e, const char *what)
{
	return err_set(e, ERR_TARGET, "protocol", "the peer's results %s", what);
}

static bool get_real(const json_t *o, const char *key, double *out)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_number(v))
		return false;
	*out = json_number_value(v);
	return true;
}

static int get_stream(struct iperf3_stream_result *s, const json_t *o, struct err *e)
{
	int64_t id = 0, bytes = 0;
	bool all = get_integer(o, "id", &id) && get_integer(o, "bytes", &bytes) &&
		   get_integer(o, "retransmits", &s->retransmits) &&
		   get_real(o, "jitter", &s->jitter_s) && get_integer(o, "errors", &s->errors) &&
		   get_integer(o, "packets", &s->packets);

	if (!all)
		return bad_results(e, "lack numbers of a stream");
	if (id < 1 || id > 2 * IPERF3_STREAMS_MAX + 1 || bytes < 0)
		return bad_results(e, "hold a stream that cannot be");
	s->id = (int)id;
	s->bytes = (uint64_t)bytes;
	s->has_omitted = get_integer(o, "omitted_errors", &s->omitted_errors) &&
			 get_integer(o, "omitted_packets", &s->omitted_packets);
	s->has_exact = get_integer(o, "unique_packets", &s->unique) &&
		       get_integer(o, "duplicate_packets", &s->duplicates) &&
		       get_integer(o, "reordered_packets", &s->reordered) &&
		       get_integer(o, "late_packets", &s->late);
	if (!get_real(o, "start_time", &s->start_s))
		s->start_s = 0;
	if (!get_real(o, "end_time", &s->end_s))
		s->end_s = 0;
	if (s->end_s < 0 || s->start_s < 0)
		return bad_results(e, "hold a time that cannot be");
	return 0;
}

static int get_streams(struct iperf3_results *r, const json_t *list, struct err *e)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return bad_results(e, "list no streams");
	if (n > 2 * IPERF3_STREAMS_MAX)
		return bad_results(e, "list too many streams");
	r->stream = calloc(n ? n : 1, sizeof(*r->stream));
	if (!r->stream)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++) {
		if (get_stream(&r->stream[i], json_array_get(list, i), e) < 0)
			return -1;
		if (iperf3_results_find(r, r->stream[i].id))
			return bad_results(e, "list a stream twice");
		r->n = i + 1;
	}
	return 0;
}

static int get_output(struct iperf3_results *r, const json_t *o, struct err *e)
{
	const json_t *tree = json_object_get(o, "server_output_json");
	const char *text = json_string_value(json_object_get(o, "server_output_text"));

	if (tree) {
		r->server_output = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
		r->output_is_json = true;
		return r->server_output ? 0 : err_nomem(e);
	}
	if (!text)
		return 0;
	r->server_output = strdup(text);
	return r->server_output ? 0 : err_nomem(e);
}

int iperf3_results_decode(struct iperf3_results *out, const char *text, size_t len, struct err *e)
{
	CLEANUP(json_decref) json_t *o = parse(text, len);
	CLEANUP(iperf3_results_done) struct iperf3_results r = { 0 };
	int64_t has_retransmits;

	if (!o)
		return bad_results(e, "are no JSON object");
	if (!get_real(o, "cpu_util_total", &r.cpu_total) ||
	    !get_real(o, "cpu_util_user", &r.cpu_user) ||
	    !get_real(o, "cpu_util_system", &r.cpu_system) ||
	    !get_integer(o, "sender_has_retransmits", &has_retransmits))
		return bad_results(e, "lack CPU time or retransmissions");
	r.has_retransmits = has_retransmits > 0 ? 1 : has_retransmits < 0 ? -1 : 0;
	get_text(o, "congestion_used", r.congestion);
	if (get_streams(&r, json_object_get(o, "streams"), e) < 0 || get_output(&r, o, e) < 0)
		return -1;
	*out = r;
	memset(&r, 0, sizeof(r));
	return 0;
}

void iperf3_results_done(struct iperf3_results *r)
{
	free(r->stream);
	free(r->server_output);
	memset(r, 0, sizeof(*r));
}

const struct iperf3_stream_result *iperf3_results_find(const struct iperf3_results *r, int id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->stream[i].id == id)
			return &r->stream[i];
	return NULL;
}

int iperf3_frame(struct buf *out, const char *json, size_t len)
{
	const uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
				  (uint8_t)len };

	return buf_add(out, head, sizeof(head)) < 0 || buf_add(out, json, len) < 0 ? -1 : 0;
}
