#include "peer/tftp-server.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "io/thread.h"
#include "peer/tftp-worker.h"

struct tftp_server {
	struct tftp_server_params params;
	struct tftp_files files;
	int stop_fd;
	unsigned n;
	struct tftp_worker *worker;
};

static int bind_all(struct tftp_server *s, struct err *e)
{
	struct addr a[8];
	size_t n;
	const char *host = s->params.host ? s->params.host : "127.0.0.1";
	bool shared = s->params.threads > 1;

	if (addr_resolve(a, 8, &n, host, s->params.port, SOCK_DGRAM, e) < 0)
		return -1;
	for (unsigned i = 0; i < s->params.threads; i++) {
		int fd;

		if (dgram_socket(&fd, &a[0], true, shared, e) < 0 ||
		    tftp_worker_init(&s->worker[i], &s->params, &s->files, fd, e) < 0)
			return -1;
		s->n++;
		/* the port that the kernel chose for the first */
		a[0] = s->worker[i].bound;
	}
	return 0;
}

int tftp_server_open(struct tftp_server **out, const struct tftp_server_params *p, struct err *e)
{
	CLEANUP(tftp_server_close) struct tftp_server *s = calloc(1, sizeof(*s));

	if (!s)
		return err_nomem(e);
	s->params = *p;
	s->files = (struct tftp_files){ .read_fd = -1, .write_fd = -1, .overwrite = p->overwrite };
	s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->stop_fd < 0)
		return err_sys(e, ERR_MACHINE, "eventfd");
	sock_raise_nofile();
	s->worker = calloc(p->threads, sizeof(*s->worker));
	if (!s->worker)
		return err_nomem(e);
	if (tftp_files_open(&s->files, p->root, p->write_root, e) < 0 || bind_all(s, e) < 0)
		return -1;
	*out = TAKE(s);
	return 0;
}

const struct addr *tftp_server_address(const struct tftp_server *s)
{
	return &s->worker[0].bound;
}

struct running {
	struct tftp_server *server;
	struct tftp_worker *worker;
	int rc;
};

static void run_worker(void *arg)
{
	struct running *r = arg;

	r->rc = tftp_worker_run(r->worker, r->server->stop_fd, &r->worker->failure);
	/* one that fails ends all */
	tftp_server_stop(r->server);
}

int tftp_server_run(struct tftp_server *s, struct err *e)
{
	CLEANUP_FREE struct thread **thread = calloc(s->n, sizeof(struct thread *));
	CLEANUP_FREE struct running *running = calloc(s->n, sizeof(*running));
	int rc = 0;

	if (!thread || !running)
		return err_nomem(e);
	for (unsigned i = 0; i < s->n; i++)
		running[i] = (struct running){ .server = s, .worker = &s->worker[i] };
	for (unsigned i = 1; i < s->n && rc == 0; i++)
		rc = thread_start(&thread[i], "tftp", -1, run_worker, &running[i], e);
	if (rc == 0)
		run_worker(&running[0]);
	else
		tftp_server_stop(s);
	for (unsigned i = 1; i < s->n; i++)
		thread_join(thread[i]);
	for (unsigned i = 0; i < s->n && rc == 0; i++) {
		rc = running[i].rc;
		if (rc < 0)
			*e = s->worker[i].failure;
	}
	return rc;
}

void tftp_server_stop(struct tftp_server *s)
{
	uint64_t one = 1;

	if (write(s->stop_fd, &one, sizeof(one)) < 0)
		return; /* readable already */
}

void tftp_server_stats(const struct tftp_server *s, struct tftp_server_stats *out)
{
	memset(out, 0, sizeof(*out));
	out->segmented = true;
	for (unsigned i = 0; i < s->n; i++) {
		const struct tftp_worker *w = &s->worker[i];

		out->requests += w->stats.requests;
		out->complete += w->stats.complete;
		out->failed += w->stats.failed;
		out->refused += w->stats.refused;
		out->bytes += w->stats.bytes;
		out->active += w->stats.active;
		out->peak += w->stats.peak;
		out->receive_calls += w->requests.calls + w->data.calls;
		out->received += w->requests.datagrams + w->data.datagrams;
		out->send_calls += w->out.calls;
		out->sent += w->out.datagrams;
		out->segmented = out->segmented && w->out.segment;
	}
}

void tftp_server_close(struct tftp_server *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++)
		tftp_worker_done(&s->worker[i]);
	free(s->worker);
	tftp_files_close(&s->files);
	fd_close(&s->stop_fd);
	free(s);
}

int tftp_server_drop(const char *user, struct err *e)
{
	struct passwd pw, *found = NULL;
	char text[4096];
	int rc = getpwnam_r(user, &pw, text, sizeof(text), &found);

	if (rc != 0 || !found)
		return err_set(e, ERR_MACHINE, "user", "there is no user '%s' to serve as", user);
	if (initgroups(user, pw.pw_gid) < 0 || setresgid(pw.pw_gid, pw.pw_gid, pw.pw_gid) < 0 ||
	    setresuid(pw.pw_uid, pw.pw_uid, pw.pw_uid) < 0)
		return err_sys(e, ERR_MACHINE, "become user '%s'", user);
	if (pw.pw_uid != 0 && setresuid(0, 0, 0) == 0)
		return err_set(e, ERR_MACHINE, "user", "root came back after becoming '%s'", user);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0)
		return err_sys(e, ERR_MACHINE, "no new privileges");
	return 0;
}
