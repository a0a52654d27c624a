#include "measure/syscall-names.h"

#include <stddef.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE syscall_names_x86_64
#elif defined(__aarch64__)
#define NATIVE syscall_names_aarch64
#else
#error "system call names are known for x86_64 and aarch64"
#endif

/* clang-format off */
/* Names for all numbers that have none, so that a name can always be borrowed. */
#define TEN(p, h, t) \
	p h t "0", p h t "1", p h t "2", p h t "3", p h t "4", p h t "5", p h t "6", p h t "7", p h t "8", p h t "9"
#define HUNDRED(p, h) \
	TEN(p, h, "0"), TEN(p, h, "1"), TEN(p, h, "2"), TEN(p, h, "3"), TEN(p, h, "4"), TEN(p, h, "5"), TEN(p, h, "6"), \
	TEN(p, h, "7"), TEN(p, h, "8"), TEN(p, h, "9")
#define NUMBERS(p) \
	{ HUNDRED(p, "0"), HUNDRED(p, "1"), HUNDRED(p, "2"), HUNDRED(p, "3"), HUNDRED(p, "4"), TEN(p, "5", "0"), \
	  p "510", p "other" }

static const char *const unnamed[SYSCALL_NUMBERS] = NUMBERS("syscall_");
#if defined(__x86_64__)
static const char *const unnamed_compat[SYSCALL_NUMBERS] = NUMBERS("i386.syscall_");
#else
static const char *const unnamed_compat[SYSCALL_NUMBERS] = NUMBERS("arm.syscall_");
#endif

static const struct {
	const char *family, *names; /* names end with a blank each */
} families[] = {
	{ "recv",
	  "recvfrom recvmsg recvmmsg recvmmsg_time64 recv " },
	{ "send",
	  "sendto sendmsg sendmmsg send sendfile sendfile64 " },
	{ "read",
	  "read pread64 readv preadv preadv2 getrandom " },
	{ "write",
	  "write pwrite64 writev pwritev pwritev2 splice tee vmsplice copy_file_range " },
	{ "poll",
	  "poll ppoll ppoll_time64 select pselect6 pselect6_time64 _newselect epoll_wait epoll_pwait "
	  "epoll_pwait2 epoll_ctl epoll_create epoll_create1 eventfd eventfd2 timerfd_create "
	  "timerfd_settime timerfd_settime64 timerfd_gettime timerfd_gettime64 signalfd signalfd4 " },
	{ "open",
	  "open openat openat2 creat close close_range dup dup2 dup3 pipe pipe2 fcntl fcntl64 memfd_create " },
	{ "file",
	  "stat fstat lstat stat64 fstat64 lstat64 newfstatat fstatat64 statx access faccessat faccessat2 "
	  "lseek _llseek readlink readlinkat getdents getdents64 rename renameat renameat2 unlink unlinkat "
	  "mkdir mkdirat rmdir link linkat symlink symlinkat chmod fchmod fchmodat fchmodat2 chown fchown "
	  "lchown fchownat truncate ftruncate truncate64 ftruncate64 fsync fdatasync sync sync_file_range "
	  "fallocate fadvise64 fadvise64_64 ioctl statfs fstatfs statfs64 fstatfs64 getcwd chdir fchdir "
	  "flock utimensat utimensat_time64 inotify_init1 inotify_add_watch umask " },
	{ "memory",
	  "mmap mmap2 munmap mprotect mremap madvise brk msync mlock mlock2 munlock mlockall munlockall "
	  "mincore process_madvise pkey_mprotect " },
	{ "sync",
	  "futex futex_time64 futex_wait futex_wake futex_waitv futex_requeue set_robust_list "
	  "get_robust_list membarrier rseq semop semget semctl semtimedop " },
	{ "time",
	  "clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 clock_getres nanosleep "
	  "gettimeofday time times timer_create timer_settime timer_delete setitimer getitimer alarm "
	  "sched_yield " },
	{ "process",
	  "clone clone3 fork vfork execve execveat exit exit_group wait4 waitid waitpid getpid getppid "
	  "gettid getuid geteuid getgid getegid getpgrp getpgid setpgid setsid getsid set_tid_address "
	  "arch_prctl prctl prlimit64 getrlimit setrlimit ugetrlimit getrusage sched_getaffinity "
	  "sched_setaffinity sched_getparam sched_getscheduler sched_setscheduler setpriority getpriority "
	  "uname sysinfo capget capset pidfd_open pidfd_send_signal unshare setns getcpu setuid setgid "
	  "setresuid setresgid setgroups set_thread_area " },
	{ "signal",
	  "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigtimedwait_time64 rt_sigpending "
	  "rt_sigsuspend sigaltstack kill tkill tgkill pause sigaction sigprocmask sigreturn signal "
	  "restart_syscall " },
	{ "socket",
	  "socket socketpair bind listen accept accept4 connect shutdown getsockname getpeername setsockopt "
	  "getsockopt socketcall " },
	{ "uring",
	  "io_uring_setup io_uring_enter io_uring_register io_setup io_submit io_getevents io_pgetevents "
	  "io_destroy io_cancel " },
};

/* As in enum io_uring_op of linux/io_uring.h. */
static const char *const uring_names[] = {
	"nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove",
	"sync_file_range", "sendmsg", "recvmsg", "timeout", "timeout_remove", "accept",
	"async_cancel", "link_timeout", "connect", "fallocate", "openat", "close", "files_update",
	"statx", "read", "write", "fadvise", "madvise", "send", "recv", "openat2", "epoll_ctl",
	"splice", "provide_buffers", "remove_buffers", "tee", "shutdown", "renameat", "unlinkat",
	"mkdirat", "symlinkat", "linkat", "msg_ring", "fsetxattr", "setxattr", "fgetxattr",
	"getxattr", "socket", "uring_cmd", "send_zc", "sendmsg_zc", "read_multishot", "waitid",
	"futex_wait", "futex_wake", "futex_waitv", "fixed_fd_install", "ftruncate", "bind",
	"listen", "recv_zc", "epoll_wait", "readv_fixed", "writev_fixed", "pipe",
};
/* clang-format on */

const char *syscall_name(bool compat, uint32_t nr)
{
	const char *name = NULL;

	if (nr >= SYSCALL_NUMBERS)
		nr = SYSCALL_NUMBERS - 1;
#if defined(__x86_64__)
	name = compat ? syscall_names_i386[nr] : NATIVE[nr];
#else
	name = compat ? NULL : NATIVE[nr];
#endif
	if (name)
		return name;
	return compat ? unnamed_compat[nr] : unnamed[nr];
}

int syscall_number(const char *name)
{
	for (int nr = 0; nr < SYSCALL_NUMBERS; nr++)
		if (NATIVE[nr] && strcmp(NATIVE[nr], name) == 0)
			return nr;
	return -1;
}

/* Whether `name` is one of the words of a list, each followed by a blank. */
static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += len)
		if ((at == list || at[-1] == ' ') && at[len] == ' ')
			return true;
	return false;
}

const char *syscall_family(const char *name)
{
	const char *dot = strchr(name, '.');

	if (dot)
		name = dot + 1;
	if (!*name)
		return "other";
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (listed(families[i].names, name))
			return families[i].family;
	return "other";
}

const char *syscall_errno_name(uint32_t error)
{
	static const char *const restarts[] = { "ERESTARTSYS", "ERESTARTNOINTR", "ERESTARTNOHAND",
						"ENOIOCTLCMD", "ERESTART_RESTARTBLOCK" };
	const char *name;

	if (error >= 512 && error - 512 < sizeof(restarts) / sizeof(restarts[0]))
		return restarts[error - 512];
	name = error && error < 4096 ? strerrorname_np((int)error) : NULL;
	return name ? name : "E???";
}

const char *syscall_uring_name(uint32_t opcode)
{
	if (opcode >= sizeof(uring_names) / sizeof(uring_names[0]))
		return "opcode_other";
	return uring_names[opcode];
}
