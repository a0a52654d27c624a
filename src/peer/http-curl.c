#include "peer/http-curl.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "base/clock.h"

/* 100 KiB more for each is nothing where they are few, and a lot where they are a thousand. */
enum { FEW_CONNECTIONS = 64, BUFFER_FEW = 102400, BUFFER_MANY = 16384 };

struct http_curl {
	CURLM *multi;
	struct loop *loop;
	struct timer timer;
	unsigned connections;
};

/* A socket that libcurl waits for. */
struct curl_watch {
	struct watch watch;
	struct http_curl *c;
};

struct http_handle {
	struct http_curl *c;
	const struct http_handle_ops *ops;
	void *ctx;
	CURL *easy;
	struct curl_slist *fields;
	bool added; /* to the multi handle */
	char why[CURL_ERROR_SIZE];
};

static void finish(struct http_curl *c);

static void act(struct http_curl *c, curl_socket_t fd, int bits)
{
	int running;

	curl_multi_socket_action(c->multi, fd, bits, &running);
	finish(c);
}

static void timer_fired(struct timer *t, uint64_t now)
{
	(void)now;
	act(CONTAINER_OF(t, struct http_curl, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int timer_wanted(CURLM *multi, long ms, void *ctx)
{
	struct http_curl *c = ctx;

	(void)multi;
	if (ms < 0)
		timer_cancel(c->loop, &c->timer);
	else
		timer_set(c->loop, &c->timer, loop_now(c->loop) + (uint64_t)ms * NS_PER_MS,
			  timer_fired);
	return 0;
}

static void watch_ready(struct watch *w, uint32_t events)
{
	struct curl_watch *cw = CONTAINER_OF(w, struct curl_watch, watch);
	int bits = 0;

	bits |= events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0;
	bits |= events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
	bits |= events & EPOLLERR ? CURL_CSELECT_ERR : 0;
	act(cw->c, w->fd, bits);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
	struct http_curl *c = ctx;
	struct curl_watch *cw = of_socket;
	struct err unseen;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(c->multi, fd, NULL);
		if (cw)
			loop_remove(&cw->watch);
		free(cw);
		return 0;
	}
	events |= what & CURL_POLL_IN ? EPOLLIN : 0;
	events |= what & CURL_POLL_OUT ? EPOLLOUT : 0;
	if (cw)
		return loop_modify(&cw->watch, events, &unseen);
	cw = calloc(1, sizeof(*cw));
	if (!cw)
		return -1; /* libcurl fails the transfer */
	cw->c = c;
	if (loop_add(c->loop, &cw->watch, fd, events, watch_ready, &unseen) < 0 ||
	    curl_multi_assign(c->multi, fd, cw) != CURLM_OK) {
		loop_remove(&cw->watch);
		free(cw);
		return -1;
	}
	return 0;
}

int http_curl_new(struct http_curl **out, struct loop *loop, unsigned connections, struct err *e)
{
	CLEANUP_FREE struct http_curl *c = calloc(1, sizeof(*c));

	if (!c || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		return err_nomem(e);
	c->loop = loop;
	c->connections = connections;
	c->multi = curl_multi_init();
	if (!c->multi)
		return err_nomem(e);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	/* fewer would close connections that are in use */
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)connections + 1);
	/* a session is a connection, also with HTTP/2 */
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	*out = TAKE(c);
	return 0;
}

void http_curl_free(struct http_curl *c)
{
	if (!c)
		return;
	curl_multi_cleanup(c->multi);
	timer_cancel(c->loop, &c->timer);
	free(c);
}

static size_t body_came(char *data, size_t size, size_t n, void *ctx)
{
	struct http_handle *h = ctx;
	long status = 0;

	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	return h->ops->body(h->ctx, (unsigned)status, data, size * n) ? size * n : 0;
}

static size_t field_came(char *data, size_t size, size_t n, void *ctx)
{
	struct http_handle *h = ctx;
	size_t len = size * n, at = 7;

	if (!h->ops->server || len < 8 || strncasecmp(data, "server:", 7) != 0)
		return len;
	while (at < len && (data[at] == ' ' || data[at] == '\t'))
		at++;
	while (len > at && (data[len - 1] == '\r' || data[len - 1] == '\n' || data[len - 1] == ' '))
		len--;
	h->ops->server(h->ctx, data + at, len - at);
	return size * n;
}

static int set_up(struct http_handle *h, const struct http_place *p)
{
	CURL *easy = h->easy;
	long version = p->version != HTTP_VERSION_2 ? CURL_HTTP_VERSION_1_1
		       : p->tls			    ? CURL_HTTP_VERSION_2TLS
						    : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
	CURLcode rc = CURLE_OK;

	rc |= curl_easy_setopt(easy, CURLOPT_URL, p->url);
	rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	rc |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	/* before CONNECT_ONLY: with h2 chosen by ALPN curl_easy_recv of 7.88 crashes */
	rc |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
	/* "": none, and none from the environment either */
	rc |= curl_easy_setopt(easy, CURLOPT_PROXY, p->proxy ? p->proxy : "");
	rc |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->why);
	rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, h);
	rc |= curl_easy_setopt(
		easy, CURLOPT_BUFFERSIZE,
		(long)(h->c->connections > FEW_CONNECTIONS ? BUFFER_MANY : BUFFER_FEW));
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_came);
	rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, h);
	if (h->ops->server) {
		rc |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, field_came);
		rc |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, h);
	}
	/* every handshake is a full one, so that runs are alike */
	rc |= curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	if (p->cacert)
		rc |= curl_easy_setopt(easy, CURLOPT_CAINFO, p->cacert);
	if (p->insecure) {
		rc |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		rc |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (p->cert)
		rc |= curl_easy_setopt(easy, CURLOPT_SSLCERT, p->cert);
	if (p->key)
		rc |= curl_easy_setopt(easy, CURLOPT_SSLKEY, p->key);
	if (p->raw)
		rc |= curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	return rc == CURLE_OK ? 0 : -1;
}

int http_handle_new(struct http_handle **out, struct http_curl *c, const struct http_place *place,
		    const struct http_handle_ops *ops, void *ctx, struct err *e)
{
	CLEANUP(http_handle_free) struct http_handle *h = calloc(1, sizeof(*h));

	if (!h)
		return err_nomem(e);
	h->c = c;
	h->ops = ops;
	h->ctx = ctx;
	h->easy = curl_easy_init();
	if (!h->easy)
		return err_nomem(e);
	if (set_up(h, place) < 0)
		return err_set(e, ERR_MACHINE, "curl", "%s cannot do what %s needs",
			       http_curl_version(), place->url);
	*out = TAKE(h);
	return 0;
}

static void detach(struct http_handle *h)
{
	if (h->added)
		curl_multi_remove_handle(h->c->multi, h->easy);
	h->added = false;
}

void http_handle_drop(struct http_handle *h)
{
	detach(h);
}

void http_handle_free(struct http_handle *h)
{
	if (!h)
		return;
	detach(h);
	curl_easy_cleanup(h->easy);
	curl_slist_free_all(h->fields);
	free(h);
}

static int begin(struct http_handle *h, struct err *e)
{
	CURLMcode rc;

	detach(h);
	h->why[0] = '\0';
	rc = curl_multi_add_handle(h->c->multi, h->easy);
	if (rc != CURLM_OK)
		return err_set(e, ERR_INTERNAL, "curl", "libcurl: %s", curl_multi_strerror(rc));
	h->added = true;
	return 0;
}

int http_curl_connect(struct http_handle *h, struct err *e)
{
	detach(h);
	curl_easy_setopt(h->easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(h->easy, CURLOPT_FRESH_CONNECT, 1L);
	return begin(h, e);
}

static int add_line(struct http_handle *h, const char *line, struct err *e)
{
	struct curl_slist *longer = curl_slist_append(h->fields, line);

	if (!longer)
		return err_nomem(e);
	h->fields = longer;
	return 0;
}

static int set_method(struct http_handle *h, const struct http_job *job)
{
	CURL *easy = h->easy;
	CURLcode rc = CURLE_OK;

	if (job->body) {
		rc |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
		rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->body);
		rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				       (curl_off_t)job->body_bytes);
	} else if (strcmp(job->method, "HEAD") == 0) {
		rc |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else {
		rc |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	}
	rc |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
	rc |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)job->fresh);
	rc |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, (long)job->fresh);
	return rc == CURLE_OK ? 0 : -1;
}

int http_curl_request(struct http_handle *h, const struct http_job *job, struct err *e)
{
	detach(h);
	if (!h->fields) {
		/* a server that ignores Expect costs a second for each large body; no Accept and no type were asked for */
		if (add_line(h, "Expect:", e) < 0 || add_line(h, "Accept:", e) < 0 ||
		    add_line(h, "Content-Type:", e) < 0)
			return -1;
		for (size_t i = 0; i < job->n_fields; i++)
			if (add_line(h, job->field[i], e) < 0)
				return -1;
		curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->fields);
	}
	if (set_method(h, job) < 0)
		return err_set(e, ERR_MACHINE, "curl", "libcurl cannot do %s", job->method);
	return begin(h, e);
}

static const char *connect_word(const struct http_handle *h)
{
	long sys = 0;

	curl_easy_getinfo(h->easy, CURLINFO_OS_ERRNO, &sys);
	return sys == ECONNREFUSED ? "refused" : sys == ETIMEDOUT ? "timeout" : "connect";
}

static const char *word_of(const struct http_handle *h, CURLcode rc)
{
	switch (rc) {
	case CURLE_OK:
		return NULL;
	case CURLE_COULDNT_RESOLVE_HOST:
		return "dns";
	case CURLE_COULDNT_RESOLVE_PROXY:
		return "proxy";
	case CURLE_COULDNT_CONNECT:
		return connect_word(h);
	case CURLE_OPERATION_TIMEDOUT:
		return "timeout";
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
		return "tls";
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return "closed";
	case CURLE_WRITE_ERROR:
		return "given-up";
	default:
		return "bad-answer";
	}
}

static uint64_t time_of(const struct http_handle *h, CURLINFO info)
{
	curl_off_t us = 0;

	curl_easy_getinfo(h->easy, info, &us);
	return us > 0 ? (uint64_t)us * NS_PER_US : 0;
}

static unsigned version_of(const struct http_handle *h)
{
	long v = 0;

	curl_easy_getinfo(h->easy, CURLINFO_HTTP_VERSION, &v);
	return v == CURL_HTTP_VERSION_1_0   ? 10
	       : v == CURL_HTTP_VERSION_1_1 ? 11
	       : v == CURL_HTTP_VERSION_2_0 ? 20
					    : 0;
}

static void tell(struct http_handle *h, CURLcode rc)
{
	struct http_curl_result r = { .failure = word_of(h, rc) };
	long status = 0, connections = 0;

	/* it may quote the peer */
	for (char *c = h->why; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	r.detail = h->why[0] ? h->why : curl_easy_strerror(rc);
	r.dns_ns = time_of(h, CURLINFO_NAMELOOKUP_TIME_T);
	r.tcp_ns = time_of(h, CURLINFO_CONNECT_TIME_T);
	r.tls_ns = time_of(h, CURLINFO_APPCONNECT_TIME_T);
	r.first_ns = time_of(h, CURLINFO_STARTTRANSFER_TIME_T);
	r.total_ns = time_of(h, CURLINFO_TOTAL_TIME_T);
	curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(h->easy, CURLINFO_NUM_CONNECTS, &connections);
	r.status = (unsigned)status;
	r.connections = (unsigned)connections;
	r.version = version_of(h);
	h->ops->done(h->ctx, &r);
}

/* What libcurl has ended is told outside its own calls, where it may be asked for more. */
static void finish(struct http_curl *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		struct http_handle *h = NULL;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&h);
		tell(h, rc);
	}
}

int http_handle_fd(const struct http_handle *h)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (curl_easy_getinfo(h->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK)
		return -1;
	return fd;
}

ssize_t http_handle_send(struct http_handle *h, const void *data, size_t len)
{
	size_t n = 0;
	CURLcode rc = curl_easy_send(h->easy, data, len, &n);

	if (rc == CURLE_OK)
		return (ssize_t)n;
	return rc == CURLE_AGAIN ? 0 : -1;
}

ssize_t http_handle_recv(struct http_handle *h, void *data, size_t size, bool *eof)
{
	size_t n = 0;
	CURLcode rc = curl_easy_recv(h->easy, data, size, &n);

	*eof = rc == CURLE_OK && n == 0;
	if (rc == CURLE_OK && n > 0)
		return (ssize_t)n;
	return rc == CURLE_AGAIN ? 0 : -1;
}

const char *http_curl_version(void)
{
	return curl_version();
}
