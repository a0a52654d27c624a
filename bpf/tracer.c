#include "tracer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "syscall-kinds.h"
#include "syscalls.skel.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
enum { SEED_PASSES = 200 };

struct tracer {
	struct syscalls_bpf *skel;
	struct rows rows;
	uid_t limit;
	bool uring, thread_pidfds;
};

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

/* Whether pidfd_open can name single threads (Linux 6.9). */
static bool has_thread_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), PIDFD_THREAD);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void set_constants(struct tracer *t, const struct tracer_params *p)
{
	struct syscalls_bpf__rodata *c = t->skel->rodata;

	c->level = p->level;
	c->n_targets = t->rows.n;
	c->limit_uid = p->limit;
	c->follow = p->follow;
	c->adopt_threads = !t->thread_pidfds;
	for (uint32_t i = 0; i < t->rows.n; i++) {
		c->selects[i] = (uint8_t)p->target[i].select;
		c->discover |= p->target[i].select != TRACE_SELECT_PIDS;
		c->by_cgroup |= p->target[i].select == TRACE_SELECT_CGROUP;
		memcpy(c->comms[i], p->target[i].comm, TRACE_COMM);
	}
	for (size_t i = 0; i < sizeof(syscall_kinds) / sizeof(syscall_kinds[0]); i++)
		c->kinds[syscall_kinds[i].compat][syscall_kinds[i].nr] =
			(uint8_t)syscall_kinds[i].kind;
}

/* Programs that a level has no use for are not loaded: what is not attached costs nothing. */
static void choose_programs(struct tracer *t)
{
	struct syscalls_bpf *s = t->skel;
	bool comm = false;

	for (uint32_t i = 0; i < t->rows.n; i++)
		comm |= s->rodata->selects[i] == TRACE_SELECT_COMM;
	bpf_program__set_autoload(s->progs.on_sys_exit, t->rows.level > TRACE_COUNT);
	bpf_program__set_autoload(s->progs.on_switch, t->rows.level >= TRACE_OFFCPU);
	bpf_program__set_autoload(s->progs.on_rename, comm);
	bpf_program__set_autoload(s->progs.on_uring, t->uring);
}

static int size_maps(struct tracer *t)
{
	uint32_t tables = 2 * t->rows.n * TRACE_NR;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{ t->skel->maps.counts, t->rows.n_rows },
		{ t->skel->maps.slots, t->rows.n_rows },
		{ t->skel->maps.free_slots, t->rows.n_rows },
		{ t->skel->maps.urings, t->rows.n },
		{ t->skel->maps.batches, t->rows.n },
		{ t->skel->maps.details, t->rows.level > TRACE_COUNT ? t->rows.n_rows : 1 },
		{ t->skel->maps.errnos, t->rows.level > TRACE_COUNT ? tables : 1 },
		{ t->skel->maps.buckets, t->rows.level >= TRACE_LATENCY ? tables : 1 },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (bpf_map__set_max_entries(sizes[i].map, sizes[i].entries) < 0)
			return -1;
	return 0;
}

/* t->skel is NULL on failure. */
static void prepare(struct tracer *t, const struct tracer_params *p, struct fault *f)
{
	t->skel = syscalls_bpf__open();
	if (!t->skel) {
		fault_set(f, TRACE_FAULT_OTHER, errno, "opening the embedded programs");
		return;
	}
	set_constants(t, p);
	choose_programs(t);
	if (size_maps(t) == 0)
		return;
	fault_set(f, TRACE_FAULT_OTHER, errno, "sizing the counters");
	syscalls_bpf__destroy(t->skel);
	t->skel = NULL;
}

static int load_failed(int sys, struct fault *f)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return fault_set(f, TRACE_FAULT_BTF, errno, "/sys/kernel/btf/vmlinux");
	if (sys == EPERM || sys == EACCES)
		return fault_set(f, TRACE_FAULT_REFUSED, sys, "loading");
	if (sys == ENOMEM)
		return fault_set(f, TRACE_FAULT_OTHER, sys, "loading");
	return fault_set(f, TRACE_FAULT_KERNEL, sys, "loading");
}

/* A kernel without io_uring's tracepoint (or with its older form) is served without it. */
static int load(struct tracer *t, const struct tracer_params *p, struct fault *f)
{
	int rc;

	t->uring = true;
	prepare(t, p, f);
	if (!t->skel)
		return -1;
	rc = syscalls_bpf__load(t->skel);
	if (rc == -ESRCH || rc == -ENOENT || rc == -EINVAL) {
		syscalls_bpf__destroy(t->skel);
		t->uring = false;
		prepare(t, p, f);
		if (!t->skel)
			return -1;
		rc = syscalls_bpf__load(t->skel);
	}
	return rc < 0 ? load_failed(-rc, f) : 0;
}

static void *map_array(const struct bpf_map *map)
{
	size_t size = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Memory accesses from here on: a snapshot needs no system call. */
static int map_all(struct tracer *t, struct fault *f)
{
	struct rows *r = &t->rows;

	r->counts = map_array(t->skel->maps.counts);
	r->details = map_array(t->skel->maps.details);
	r->errnos = map_array(t->skel->maps.errnos);
	r->buckets = map_array(t->skel->maps.buckets);
	r->batches = map_array(t->skel->maps.batches);
	r->opcodes = map_array(t->skel->maps.urings);
	r->slots = map_array(t->skel->maps.slots);
	r->gauges = &t->skel->bss->gauges;
	if (!r->counts || !r->details || !r->errnos || !r->buckets || !r->batches || !r->opcodes ||
	    !r->slots)
		return fault_set(f, TRACE_FAULT_OTHER, errno, "mapping the counters");
	return 0;
}

static int push_slot(const struct tracer *t, uint32_t slot)
{
	t->rows.slots[slot].state = TRACE_SLOT_FREE;
	return bpf_map_update_elem(bpf_map__fd(t->skel->maps.free_slots), NULL, &slot, BPF_ANY);
}

/* The cgroup must lie in a version 2 hierarchy and, where there is a limit, belong to that uid. */
static int add_cgroup(struct tracer *t, uint32_t index, const char *path, struct fault *f)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;
	struct stat st;
	int rc = 0;

	if (fd < 0 || fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		rc = fault_set(f, TRACE_FAULT_NO_PROCESS, errno, "cgroup %.60s", path);
	else if ((uint64_t)fs.f_type != CGROUP2_SUPER_MAGIC)
		rc = fault_set(f, TRACE_FAULT_USAGE, 0, "%.60s is not in a cgroup v2 tree", path);
	else if (t->limit != (uid_t)-1 && st.st_uid != t->limit)
		rc = fault_set(f, TRACE_FAULT_OWNER, EPERM, "cgroup %.60s", path);
	else if (bpf_map_update_elem(bpf_map__fd(t->skel->maps.cgroups), &index, &fd, BPF_ANY) < 0)
		rc = fault_set(f, TRACE_FAULT_OTHER, errno, "cgroup %.60s", path);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int start(struct tracer *t, const struct tracer_params *p, struct fault *f)
{
	int rc;

	for (uint32_t i = 2 * t->rows.n; i < t->rows.n_rows; i++)
		if (push_slot(t, i) < 0)
			return fault_set(f, TRACE_FAULT_OTHER, errno, "filling the list of rows");
	for (uint32_t i = 0; i < t->rows.n; i++)
		if (p->target[i].select == TRACE_SELECT_CGROUP &&
		    add_cgroup(t, i, p->target[i].cgroup, f) < 0)
			return -1;
	rc = syscalls_bpf__attach(t->skel);
	if (rc < 0)
		return fault_set(f, rc == -EPERM ? TRACE_FAULT_REFUSED : TRACE_FAULT_KERNEL, -rc,
				 "attaching");
	return 0;
}

/* The maps stay mapped until the process ends; only the kernel's side is detached here. */
void tracer_close(struct tracer *t)
{
	if (!t)
		return;
	syscalls_bpf__destroy(t->skel);
	free(t);
}

uint64_t tracer_abilities(const struct tracer *t)
{
	uint32_t key = 0;
	struct trace_slot slot;
	uint64_t able = t->uring ? TRACE_READY_URING : 0;

	/* before Linux 5.19, kernel.unprivileged_bpf_disabled refuses even look-ups by descriptor */
	if (bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.slots), &key, &slot) == 0)
		able |= TRACE_READY_LATE;
	return able;
}

static void read_comm(pid_t pid, pid_t tid, char comm[TRACE_COMM])
{
	char path[64];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	memset(comm, 0, TRACE_COMM);
	if (fd < 0)
		return;
	n = read(fd, comm, TRACE_COMM - 1);
	if (n > 0 && comm[n - 1] == '\n')
		comm[n - 1] = 0;
	close(fd);
}

/* Takes a row for a thread, or the target's shared one. */
static void take_slot(const struct tracer *t, struct trace_task *rec, pid_t pid, pid_t tid)
{
	struct trace_slot *s;
	uint32_t slot;

	if (bpf_map_lookup_and_delete_elem(bpf_map__fd(t->skel->maps.free_slots), NULL, &slot) <
	    0) {
		rec->flight.slot = rec->flight.target;
		rec->flight.shared = 1;
		__atomic_fetch_add(&t->skel->bss->gauges.of[rec->flight.target].shared, 1,
				   __ATOMIC_RELAXED);
		return;
	}
	s = &t->rows.slots[slot];
	s->pid = (uint32_t)pid;
	s->tid = (uint32_t)tid;
	s->target = rec->flight.target;
	read_comm(pid, tid, s->comm);
	__atomic_store_n(&s->state, TRACE_SLOT_LIVE, __ATOMIC_RELEASE);
	rec->flight.slot = slot;
}

/* 1: added, 0: it is watched already or gone, -1: another target has it. */
static int seed(const struct tracer *t, int pidfd, const struct trace_task *as, pid_t pid,
		pid_t tid)
{
	int map = bpf_map__fd(t->skel->maps.tasks);
	struct trace_task rec = *as, old = { 0 };
	struct trace_gauges *g = &t->skel->bss->gauges;
	bool never = as->state == TRACE_TASK_NEVER;

	if (bpf_map_lookup_elem(map, &pidfd, &old) == 0 && never && old.listed && !old.given) {
		/* it counted by itself until now; what it did lies before any window */
		if (!old.flight.shared)
			__atomic_store_n(&t->rows.slots[old.flight.slot].state, TRACE_SLOT_ENDED,
					 __ATOMIC_RELEASE);
		__atomic_fetch_add(&g->of[old.flight.target].ended, 1, __ATOMIC_RELAXED);
	} else if (old.given || old.listed) {
		bool same = never ? old.state == TRACE_TASK_NEVER
				  : old.flight.target == as->flight.target;

		return same || old.state == TRACE_TASK_GONE ? 0 : -1;
	}
	if (!never) {
		take_slot(t, &rec, pid, tid);
		rec.listed = 1;
		__atomic_fetch_add(&g->of[rec.flight.target].started, 1, __ATOMIC_RELAXED);
	}
	if (bpf_map_update_elem(map, &pidfd, &rec, BPF_ANY) == 0)
		return 1;
	if (!never) {
		__atomic_fetch_sub(&g->of[rec.flight.target].started, 1, __ATOMIC_RELAXED);
		if (!rec.flight.shared)
			push_slot(t, rec.flight.slot);
	}
	if (errno != ESRCH && errno != EBADF && errno != ENOENT)
		__atomic_fetch_add(&g->storage_failed, 1, __ATOMIC_RELAXED);
	return 0;
}

/* The id must still be a thread of the process after its pidfd was opened: ids are used again. */
static int open_thread(pid_t pid, pid_t tid)
{
	int fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
	if (fd >= 0 && access(path, F_OK) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One pass over the threads that are there now; returns how many were new. */
static uint64_t seed_threads(const struct tracer *t, const struct trace_task *as, pid_t pid)
{
	uint64_t added = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	for (struct dirent *d; (d = readdir(dir));) {
		int fd, tid = 0;

		if (sscanf(d->d_name, "%d", &tid) != 1) /* . and .. */
			continue;
		fd = open_thread(pid, tid);
		if (fd < 0)
			continue;
		added += seed(t, fd, as, pid, tid) == 1;
		close(fd);
	}
	closedir(dir);
	return added;
}

int tracer_add(struct tracer *t, uint32_t target, pid_t pid, bool armed, uint64_t *threads,
	       struct fault *f)
{
	struct trace_task as = { .given = 1,
				 .state = armed ? TRACE_TASK_ARMED : TRACE_TASK_ACTIVE };
	int pidfd, rc;

	if (target == TRACE_NEVER)
		as.state = TRACE_TASK_NEVER;
	else
		as.flight.target = (uint8_t)target;
	if (privilege_open_pid(pid, t->limit, &pidfd, f) < 0)
		return -1;
	rc = seed(t, pidfd, &as, pid, pid);
	close(pidfd);
	if (rc < 0)
		return fault_set(f, TRACE_FAULT_TAKEN, EEXIST, "%d", (int)pid);
	*threads = (uint64_t)rc;
	/* a thread that a not yet watched one makes meanwhile is found by the next pass */
	for (int pass = 0; t->thread_pidfds && pass < SEED_PASSES; pass++) {
		uint64_t added = seed_threads(t, &as, pid);

		*threads += added;
		if (!added)
			break;
	}
	return 0;
}

/* Where targets find themselves, we are none of them. */
static void exclude_self(const struct tracer *t, const struct tracer_params *p)
{
	const struct trace_task as = { .given = 1, .state = TRACE_TASK_NEVER };
	int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	bool discover = false;

	for (size_t i = 0; i < p->n_targets; i++)
		discover |= p->target[i].select != TRACE_SELECT_PIDS;
	if (pidfd < 0)
		return;
	if (discover)
		seed(t, pidfd, &as, getpid(), getpid());
	close(pidfd);
}

int tracer_open(struct tracer **out, const struct tracer_params *p, struct fault *f)
{
	struct tracer *t = calloc(1, sizeof(*t));

	if (!t)
		return fault_set(f, TRACE_FAULT_OTHER, ENOMEM, "memory");
	libbpf_set_print(quiet);
	t->rows.n = (uint32_t)p->n_targets;
	t->rows.n_rows = 2 * t->rows.n + p->threads;
	t->rows.level = p->level;
	t->limit = p->limit;
	t->thread_pidfds = has_thread_pidfds();
	if (load(t, p, f) < 0 || map_all(t, f) < 0 || start(t, p, f) < 0) {
		tracer_close(t);
		return -1;
	}
	exclude_self(t, p);
	*out = t;
	return 0;
}

const struct rows *tracer_rows(const struct tracer *t)
{
	return &t->rows;
}

uint64_t tracer_missed(const struct tracer *t)
{
	struct bpf_program *prog;
	uint64_t missed = 0;

	bpf_object__for_each_program(prog, t->skel->obj)
	{
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(prog);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
			missed += info.recursion_misses;
	}
	return missed;
}

void tracer_reclaim(struct tracer *t)
{
	struct rows *r = &t->rows;
	uint32_t n_free = 0;

	for (uint32_t i = 2 * r->n; i < r->n_rows; i++)
		n_free += r->slots[i].state == TRACE_SLOT_FREE;
	if (n_free > (r->n_rows - 2 * r->n) / 4)
		return;
	for (uint32_t i = 2 * r->n; i < r->n_rows; i++) {
		if (__atomic_load_n(&r->slots[i].state, __ATOMIC_ACQUIRE) != TRACE_SLOT_ENDED)
			continue;
		rows_fold(r, i);
		push_slot(t, i);
	}
}
