#include "io/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

extern char **environ;

enum step { STEP_EXEC, STEP_CWD, STEP_TTY, STEP_FDS };

/* What the child tells through the error pipe when it cannot become the program. */
struct report {
	enum step step;
	int sys;
	char program[256];
};

enum {
	HIGH_FD = 64, /* above every target number, so that moving them cannot collide */
	DEFAULT_SLACK_NS = 50000, /* of a process that never asked; ours is inherited over fork */
};

/* What the child needs, gathered before fork: afterwards only async-signal-safe calls are allowed. */
struct plan {
	const struct spawn_params *p;
	char *const *env;
	pid_t parent;
	int null, error, hold;
};

static _Noreturn void child_fail(const struct plan *plan, enum step step)
{
	struct report r = { .step = step, .sys = errno };
	const char *name = plan->p->argv[0];
	size_t len = strlen(name);
	ssize_t n;

	if (len >= sizeof(r.program))
		len = sizeof(r.program) - 1;
	memcpy(r.program, name, len);
	n = write(plan->error, &r, sizeof(r));
	_exit(n == (ssize_t)sizeof(r) ? 127 : 126);
}

static void child_signals(void)
{
	/* the kernel's struct sigaction, all zero: glibc's call refuses its own signals 32 and 33, which some
	 * supervisors hand down ignored */
	static const unsigned long dfl[8];
	sigset_t none;

	for (int s = 1; s < _NSIG; s++)
		syscall(SYS_rt_sigaction, s, dfl, NULL, _NSIG / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int move_up(struct plan *plan, int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (high < 0)
		child_fail(plan, STEP_FDS);
	return high;
}

/* Everything from `first` on is closed by exec. */
static void close_from(unsigned first)
{
	struct rlimit lim = { .rlim_cur = 1024 };

	if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	getrlimit(RLIMIT_NOFILE, &lim);
	for (unsigned fd = first; fd < lim.rlim_cur && fd < 65536; fd++)
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

static void child_fds(struct plan *plan)
{
	const struct spawn_params *p = plan->p;
	const int given[3] = { p->in, p->out, p->err };
	int from[3], keep = p->keep_fd;

	plan->error = move_up(plan, plan->error);
	if (plan->hold >= 0)
		plan->hold = move_up(plan, plan->hold);
	for (int i = 0; i < 3; i++) {
		int fd = p->tty >= 0 ? p->tty : given[i] >= 0 ? given[i] : plan->null;

		from[i] = move_up(plan, fd);
	}
	if (keep >= 0)
		keep = move_up(plan, keep);
	for (int i = 0; i < 3; i++)
		if (dup2(from[i], i) < 0)
			child_fail(plan, STEP_FDS);
	if (keep >= 0 && dup2(keep, 3) < 0)
		child_fail(plan, STEP_FDS);
	close_from(keep >= 0 ? 4 : 3);
}

static _Noreturn void child_main(struct plan *plan)
{
	const struct spawn_params *p = plan->p;
	char go;

	child_signals();
	prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL);
	if (getppid() != plan->parent)
		_exit(126); /* it died before the line above */
	prctl(PR_SET_TIMERSLACK, (unsigned long)DEFAULT_SLACK_NS, 0UL, 0UL, 0UL);
	if (p->tty >= 0) {
		if (setsid() < 0 || ioctl(p->tty, TIOCSCTTY, 0) < 0)
			child_fail(plan, STEP_TTY);
	} else {
		setpgid(0, 0);
	}
	child_fds(plan);
	if (p->cwd && chdir(p->cwd) < 0)
		child_fail(plan, STEP_CWD);
	if (plan->hold >= 0 && read(plan->hold, &go, 1) != 1)
		_exit(126); /* never released: the parent is gone */
	execvpe(p->argv[0], p->argv, plan->env);
	child_fail(plan, STEP_EXEC);
}

static bool same_key(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* Our environment without what `add` replaces, then `add`; the strings stay borrowed. */
static char **merge_env(const char *const *add)
{
	size_t n = 0, n_add = 0, k = 0;
	char **env;

	while (environ[n])
		n++;
	while (add[n_add])
		n_add++;
	env = calloc(n + n_add + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		bool replaced = false;

		for (size_t j = 0; j < n_add && !replaced; j++)
			replaced = same_key(add[j], environ[i]);
		if (!replaced)
			env[k++] = environ[i];
	}
	for (size_t j = 0; j < n_add; j++)
		memcpy(&env[k++], &add[j], sizeof(*env));
	return env;
}

/* Reads the error pipe to its end: nothing means that exec closed it. */
static int exec_result(struct child *c, struct err *e)
{
	struct report r;
	ssize_t n;
	int status;

	do
		n = read(c->error_fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	fd_close(&c->error_fd);
	if (n == 0)
		return 0;
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	fd_close(&c->pidfd);
	fd_close(&c->hold_fd);
	c->pid = 0;
	if (n != (ssize_t)sizeof(r))
		return err_set(e, ERR_INTERNAL, "spawn", "lost contact with a new process");
	r.program[sizeof(r.program) - 1] = '\0';
	errno = r.sys;
	switch (r.step) {
	case STEP_CWD:
		return err_sys(e, ERR_USAGE, "cannot enter the directory to run %s in", r.program);
	case STEP_TTY:
		return err_sys(e, ERR_MACHINE, "cannot give %s a controlling terminal", r.program);
	case STEP_FDS:
		return err_sys(e, ERR_MACHINE, "cannot set up the descriptors of %s", r.program);
	case STEP_EXEC:
		break;
	}
	return err_sys(e, ERR_USAGE, "cannot run %s", r.program);
}

static pid_t fork_blocked(struct plan *plan)
{
	sigset_t all, old;
	pid_t pid;

	/* no handler of ours may run in the child */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child_main(plan);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

static int fork_child(struct child *c, struct plan *plan, struct err *e)
{
	c->pid = fork_blocked(plan);
	if (c->pid < 0) {
		c->pid = 0;
		return err_sys(e, ERR_MACHINE, "cannot make a process for %s", plan->p->argv[0]);
	}
	if (plan->p->tty < 0)
		setpgid(c->pid, c->pid); /* also here, so that a signal right after start hits */
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd >= 0)
		return 0;
	err_sys(e, ERR_MACHINE, "pidfd_open");
	kill(c->pid, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	c->pid = 0;
	return -1;
}

int spawn_start(struct child *c, const struct spawn_params *p, struct err *e)
{
	CLEANUP_FREE char **env = NULL;
	CLEANUP_FD int null = -1;
	CLEANUP_FD int error_rd = -1, error_wr = -1, hold_rd = -1, hold_wr = -1;
	struct plan plan = { .p = p, .env = environ, .parent = getpid(), .hold = -1 };
	int fds[2];

	memset(c, 0, sizeof(*c));
	c->pidfd = c->hold_fd = c->error_fd = -1;
	if (p->env) {
		env = merge_env(p->env);
		if (!env)
			return err_nomem(e);
		plan.env = env;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(e, ERR_MACHINE, "cannot open /dev/null");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, ERR_MACHINE, "pipe");
	error_rd = fds[0];
	error_wr = fds[1];
	if (p->hold) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			return err_sys(e, ERR_MACHINE, "pipe");
		hold_rd = fds[0];
		hold_wr = fds[1];
	}
	plan.null = null;
	plan.error = error_wr;
	plan.hold = hold_rd;
	if (fork_child(c, &plan, e) < 0)
		return -1;
	c->error_fd = fd_take(&error_rd);
	c->hold_fd = fd_take(&hold_wr);
	fd_close(&error_wr); /* else its end would never be seen */
	return p->hold ? 0 : exec_result(c, e);
}

int spawn_release(struct child *c, struct err *e)
{
	ssize_t n;

	if (c->hold_fd < 0)
		return 0;
	do
		n = write(c->hold_fd, "", 1);
	while (n < 0 && errno == EINTR);
	fd_close(&c->hold_fd);
	/* a failed write means that it is gone already, which exec_result or spawn_poll tell */
	return exec_result(c, e);
}

/* Once the leader is reaped, its number may be given away: the rest of the group must be dealt with before. */
static void reap(struct child *c)
{
	pid_t pid;

	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL); /* a held child may not lead its group yet */
	do
		pid = wait4(c->pid, &c->status, 0, &c->usage);
	while (pid < 0 && errno == EINTR);
	c->reaped = pid != 0;
}

bool spawn_poll(struct child *c)
{
	siginfo_t info = { 0 };

	if (c->pid <= 0 || c->reaped)
		return true;
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0) {
		c->reaped = errno == ECHILD;
		return c->reaped;
	}
	if (info.si_pid == 0)
		return false;
	reap(c);
	return c->reaped;
}

void spawn_signal(struct child *c, int signo)
{
	if (c->pid > 0 && !c->reaped)
		kill(-c->pid, signo);
}

void spawn_stop(struct child *c, uint64_t grace_ns)
{
	uint64_t end = clock_now() + grace_ns;
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
	uint64_t now;

	if (c->pid <= 0)
		return;
	if (!c->reaped && grace_ns) {
		spawn_signal(c, SIGTERM);
		while (!spawn_poll(c) && (now = clock_now()) < end) {
			struct timespec ts = { .tv_sec = (time_t)((end - now) / NS_PER_SEC),
					       .tv_nsec = (long)((end - now) % NS_PER_SEC) };

			ppoll(&p, 1, &ts, NULL);
		}
	}
	if (!c->reaped)
		reap(c);
	fd_close(&c->pidfd);
	fd_close(&c->hold_fd);
	fd_close(&c->error_fd);
}

char *spawn_describe(const struct child *c, char *out, size_t size)
{
	const char *name;

	if (!c->reaped)
		snprintf(out, size, "running");
	else if (WIFEXITED(c->status))
		snprintf(out, size, "exit status %d", WEXITSTATUS(c->status));
	else if (WIFSIGNALED(c->status) && (name = sigabbrev_np(WTERMSIG(c->status))))
		snprintf(out, size, "killed by SIG%s", name);
	else if (WIFSIGNALED(c->status))
		snprintf(out, size, "killed by signal %d", WTERMSIG(c->status));
	else
		snprintf(out, size, "ended in an unknown way");
	return out;
}

/* Bytes pass unchanged but for ^C, which becomes SIGINT while the process leaves the terminal as it found it. NOFLSH:
 * as on a wire, an interrupt must not swallow what is on its way. */
static int make_raw(int fd)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return -1;
	cfmakeraw(&t);
	t.c_lflag |= ISIG | NOFLSH;
	t.c_cc[VINTR] = 3;
	t.c_cc[VQUIT] = t.c_cc[VSUSP] = _POSIX_VDISABLE;
	return tcsetattr(fd, TCSANOW, &t);
}

int pty_open(int *master, int *slave, char *path, struct err *e)
{
	CLEANUP_FD int m = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	CLEANUP_FD int s = -1;

	if (m < 0 || grantpt(m) < 0 || unlockpt(m) < 0)
		return err_sys(e, ERR_MACHINE, "cannot make a pseudo-terminal");
	s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s < 0 || make_raw(s) < 0)
		return err_sys(e, ERR_MACHINE, "cannot open the pseudo-terminal's other end");
	if (path && ptsname_r(m, path, 64) != 0)
		return err_sys(e, ERR_MACHINE, "cannot name the pseudo-terminal");
	*master = fd_take(&m);
	*slave = fd_take(&s);
	return 0;
}
