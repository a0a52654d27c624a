#include "privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OVERFLOW_ID = 65534 };

int fault_set(struct fault *f, enum trace_fault code, int sys, const char *fmt, ...)
{
	va_list ap;

	f->code = code;
	f->sys = sys;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return -1;
}

bool privilege_suffices(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	uint64_t effective;

	if (syscall(SYS_capget, &head, data) < 0)
		return false;
	effective = (uint64_t)data[1].effective << 32 | data[0].effective;
	if (effective >> CAP_SYS_ADMIN & 1)
		return true;
	return (effective >> CAP_BPF & 1) && (effective >> CAP_PERFMON & 1);
}

uid_t privilege_limit(void)
{
	uid_t uid = getuid();

	return uid == 0 ? (uid_t)-1 : uid;
}

int privilege_drop(struct fault *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	/* refused without CAP_SETPCAP, and then no_new_privs alone has to do */
	for (int cap = 0; cap <= 63; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if ((getuid() == 0 || geteuid() == 0) &&
	    (setgroups(0, NULL) < 0 || setresgid(OVERFLOW_ID, OVERFLOW_ID, OVERFLOW_ID) < 0 ||
	     setresuid(OVERFLOW_ID, OVERFLOW_ID, OVERFLOW_ID) < 0))
		return fault_set(f, TRACE_FAULT_OTHER, errno, "giving up uid 0");
	if (syscall(SYS_capset, &head, none) < 0)
		return fault_set(f, TRACE_FAULT_OTHER, errno, "giving up the capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fault_set(f, TRACE_FAULT_OTHER, errno, "prctl");
	return 0;
}

/* The line "Uid:" of /proc/PID/status has real, effective, saved and file system uid. */
static bool uids_are(pid_t pid, uid_t uid)
{
	char path[64], line[256];
	unsigned id[4] = { 0 };
	struct stat st;
	FILE *status;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) < 0 || st.st_uid != uid)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	if (!status)
		return false;
	while (n == 0 && fgets(line, sizeof(line), status))
		n = sscanf(line, "Uid: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]);
	fclose(status);
	return n == 4 && id[0] == uid && id[1] == uid && id[2] == uid && id[3] == uid;
}

int privilege_open_pid(pid_t pid, uid_t limit, int *pidfd, struct fault *f)
{
	struct pollfd p = { .events = POLLIN };
	bool ours;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0 && errno == ESRCH)
		return fault_set(f, TRACE_FAULT_NO_PROCESS, ESRCH, "%d", (int)pid);
	if (p.fd < 0) /* EINVAL: the id of a thread that leads no process */
		return fault_set(f, errno == EINVAL ? TRACE_FAULT_NO_PROCESS : TRACE_FAULT_OTHER,
				 errno, "%d", (int)pid);
	ours = limit == (uid_t)-1 || uids_are(pid, limit);
	if (poll(&p, 1, 0) != 0) {
		close(p.fd);
		return fault_set(f, TRACE_FAULT_NO_PROCESS, ESRCH, "%d", (int)pid);
	}
	if (!ours) {
		close(p.fd);
		return fault_set(f, TRACE_FAULT_OWNER, EPERM, "%d", (int)pid);
	}
	*pidfd = p.fd;
	return 0;
}
