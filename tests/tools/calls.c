/*
 * calls - makes a known number of system calls, for the tests of trace-syscalls. The counted call is getppid, which nothing
 * else here makes, but where a mode says otherwise.
 *
 *     calls [-w] MODE NUMBERS...
 *
 * -w: says "ready" and waits for a line on stdin before it begins, so that a tracer can attach to it; then again at its
 * end, so that it can be looked at while it lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/num.h"

static long arg[4];

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(99);
}

static void getppids(long n)
{
	for (long i = 0; i < n; i++)
		syscall(SYS_getppid);
}

static void *count_thread(void *unused)
{
	(void)unused;
	getppids(arg[1]);
	return NULL;
}

/* threads T N */
static void threads(void)
{
	pthread_t t[256];

	for (long i = 0; i < arg[0]; i++)
		if (pthread_create(&t[i], NULL, count_thread, NULL))
			die("pthread_create");
	for (long i = 0; i < arg[0]; i++)
		pthread_join(t[i], NULL);
}

/* fork C N: every second child executes this program anew. vfork C N: all of them, from a vfork. */
static void children(const char *self, bool use_vfork)
{
	static char number[24];
	volatile long i;

	snprintf(number, sizeof(number), "%ld", arg[1]);
	for (i = 0; i < arg[0]; i++) {
		pid_t pid = use_vfork ? vfork() : fork();

		if (pid < 0)
			die("fork");
		if (pid == 0 && (use_vfork || i % 2)) {
			execl(self, "calls", "getppid", number, (char *)NULL);
			_exit(98);
		}
		if (pid == 0) {
			getppids(arg[1]);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		continue;
}

/* tree D N: a chain of D generations, N calls each. */
static void tree(long depth)
{
	getppids(arg[1]);
	if (depth <= 1)
		return;
	if (fork() == 0) {
		tree(depth - 1);
		_exit(0);
	}
	wait(NULL);
}

/* fail N: reads that find nothing, opens of nothing, a closed descriptor. */
static void fail(void)
{
	char c;
	int p[2];

	if (pipe2(p, O_NONBLOCK | O_CLOEXEC) < 0)
		die("pipe");
	for (long i = 0; i < arg[0]; i++) {
		if (syscall(SYS_pread64, p[0], &c, 1, 0) != -1 || read(p[0], &c, 1) != -1)
			die("read");
		syscall(SYS_access, "/nonexistent", F_OK);
		syscall(SYS_fchdir, -1);
	}
}

/* batch N: N rounds of 1..8 messages sent at once, received at once, and a receive that finds nothing. */
static void batch(void)
{
	struct mmsghdr out[8], in[8];
	struct iovec iov = { .iov_base = (char[]){ "ping" }, .iov_len = 4 }, to[8];
	char room[8][16];
	int s[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s) < 0)
		die("socketpair");
	for (int i = 0; i < 8; i++) {
		to[i] = (struct iovec){ room[i], sizeof(room[i]) };
		out[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
		in[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &to[i], .msg_iovlen = 1 } };
	}
	for (long round = 0; round < arg[0]; round++) {
		for (unsigned k = 1; k <= 8; k++) {
			if (sendmmsg(s[0], out, k, 0) != (int)k ||
			    recvmmsg(s[1], in, 8, MSG_DONTWAIT, NULL) != (int)k)
				die("mmsg");
			recvmmsg(s[1], in, 8, MSG_DONTWAIT, NULL);
		}
	}
}

static int never[2];

static void *block_thread(void *ready)
{
	char c;

	atomic_fetch_add((atomic_int *)ready, 1);
	return read(never[0], &c, 1) == 1 ? ready : NULL;
}

/* A thread is asleep in its call, as /proc sees it. */
static void wait_asleep(pid_t tid)
{
	char path[64], line[512];
	char state = 'R';

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	while (state != 'S') {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
		const char *end;

		if (n <= 0)
			die(path);
		close(fd);
		line[n] = 0;
		end = strrchr(line, ')');
		state = end && end[1] ? end[2] : 'R';
	}
}

/* exit T N: T threads wait in a read that never ends while the process makes N calls and goes. */
static void exit_middle(void)
{
	atomic_int ready = 0;

	if (pipe2(never, O_CLOEXEC) < 0)
		die("pipe");
	for (long i = 0; i < arg[0]; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, block_thread, &ready))
			die("pthread_create");
	}
	while (atomic_load(&ready) < arg[0])
		sched_yield();
	getppids(arg[1]);
	_exit(0);
}

/* compat N: getppid of the 32-bit table (64 there). */
static void compat(void)
{
#if defined(__x86_64__)
	for (long i = 0; i < arg[0]; i++) {
		long nr = 64;

		__asm__ volatile("int $0x80" : "+a"(nr) : : "memory", "r8", "r9", "r10", "r11");
		if (nr == -ENOSYS)
			exit(77);
	}
#else
	exit(77);
#endif
}

static void on_usr1(int signo)
{
	(void)signo;
}

/* restart N: a read that is interrupted N times and begun again each time, then gets its byte. */
static void restart(void)
{
	struct sigaction act = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };
	pid_t parent = getpid();
	int p[2], ack[2];
	char c;

	if (pipe2(p, O_CLOEXEC) < 0 || pipe2(ack, O_CLOEXEC) < 0)
		die("pipe");
	sigaction(SIGUSR1, &act, NULL);
	if (fork() == 0) {
		for (long i = 0; i < arg[0]; i++) {
			wait_asleep(parent);
			kill(parent, SIGUSR1);
			/* asleep again in the restarted call: the next signal finds it there */
		}
		wait_asleep(parent);
		_exit(write(p[1], "x", 1) == 1 ? 0 : 97);
	}
	if (syscall(SYS_pread64, -1, &c, 1, 0) != -1 || read(p[0], &c, 1) != 1)
		die("read");
	wait(NULL);
}

struct ring {
	int fd;
	unsigned *tail, *cq_head, *cq_tail, *flags;
	unsigned mask;
	unsigned *array;
	struct io_uring_sqe *sqes;
};

static void *map(int fd, size_t size, uint64_t what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		       (off_t)what);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static struct ring ring_make(bool polled)
{
	struct io_uring_params p = { .flags = polled ? IORING_SETUP_SQPOLL : 0,
				     .sq_thread_idle = 1000 };
	struct ring r = { .fd = (int)syscall(SYS_io_uring_setup, 64, &p) };
	char *sq, *cq;

	if (r.fd < 0)
		exit(77);
	sq = map(r.fd, p.sq_off.array + p.sq_entries * 4, IORING_OFF_SQ_RING);
	cq = map(r.fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		 IORING_OFF_CQ_RING);
	r.sqes = map(r.fd, p.sq_entries * sizeof(*r.sqes), IORING_OFF_SQES);
	r.tail = (unsigned *)(void *)(sq + p.sq_off.tail);
	r.flags = (unsigned *)(void *)(sq + p.sq_off.flags);
	r.array = (unsigned *)(void *)(sq + p.sq_off.array);
	r.mask = p.sq_entries - 1;
	r.cq_head = (unsigned *)(void *)(cq + p.cq_off.head);
	r.cq_tail = (unsigned *)(void *)(cq + p.cq_off.tail);
	return r;
}

static void ring_do(struct ring *r, bool polled, uint8_t opcode, int fd, char *byte)
{
	unsigned tail = *r->tail;
	struct io_uring_sqe *s = &r->sqes[tail & r->mask];

	memset(s, 0, sizeof(*s));
	s->opcode = opcode;
	s->fd = fd;
	s->addr = (uint64_t)(uintptr_t)byte;
	s->len = 1;
	s->off = (uint64_t)-1;
	r->array[tail & r->mask] = tail & r->mask;
	__atomic_store_n(r->tail, tail + 1, __ATOMIC_SEQ_CST);
	if (!polled)
		syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	else if (__atomic_load_n(r->flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		syscall(SYS_io_uring_enter, r->fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
	while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == *r->cq_head)
		sched_yield();
	__atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
}

/* uring N, sqpoll N: N writes and N reads of one byte through a ring. */
static void uring(bool polled)
{
	struct ring r = ring_make(polled);
	char c = 'x';
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		die("pipe");
	for (long i = 0; i < arg[0]; i++) {
		ring_do(&r, polled, IORING_OP_WRITE, p[1], &c);
		ring_do(&r, polled, IORING_OP_READ, p[0], &c);
	}
}

/* steps N: for N lines on stdin, ten getppid and a line on stdout each. */
static void steps(void)
{
	char line[16];

	for (long i = 0; i < arg[0]; i++) {
		if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
			exit(96);
		getppids(10);
		if (write(STDOUT_FILENO, "done\n", 5) != 5)
			exit(96);
	}
}

static void pause_for_line(const char *say)
{
	char line[16];

	if (write(STDOUT_FILENO, say, strlen(say)) < 0 ||
	    read(STDIN_FILENO, line, sizeof(line)) <= 0)
		exit(96);
}

static void work(const char *self, const char *mode)
{
	if (strcmp(mode, "getppid") == 0)
		getppids(arg[0]);
	else if (strcmp(mode, "threads") == 0)
		threads();
	else if (strcmp(mode, "fork") == 0 || strcmp(mode, "vfork") == 0)
		children(self, mode[0] == 'v');
	else if (strcmp(mode, "tree") == 0)
		tree(arg[0]);
	else if (strcmp(mode, "fail") == 0)
		fail();
	else if (strcmp(mode, "batch") == 0)
		batch();
	else if (strcmp(mode, "exit") == 0)
		exit_middle();
	else if (strcmp(mode, "compat") == 0)
		compat();
	else if (strcmp(mode, "restart") == 0)
		restart();
	else if (strcmp(mode, "uring") == 0 || strcmp(mode, "sqpoll") == 0)
		uring(mode[0] == 's');
	else if (strcmp(mode, "steps") == 0)
		steps();
	else
		exit(95);
}

int main(int argc, char **argv)
{
	bool wait_first = argc > 1 && strcmp(argv[1], "-w") == 0;
	struct err e = { 0 };
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	argv += wait_first;
	argc -= wait_first;
	if (n <= 0 || argc < 2)
		return 94;
	self[n] = 0;
	for (int i = 2; i < argc && i < 6; i++) {
		uint64_t v;

		if (num_parse_u64(argv[i], &v, &e) < 0)
			return 94;
		arg[i - 2] = (long)v;
	}
	if (wait_first)
		pause_for_line("ready\n");
	work(self, argv[1]);
	if (wait_first)
		pause_for_line("over\n");
	return 0;
}
