// SPDX-License-Identifier: (GPL-2.0-only OR MIT)
/*
 * Counts the system calls of chosen threads.
 *
 * Every watched thread has a record in its task storage that names the row of counters it alone writes, so the hot path
 * is one storage look-up, one array access that the verifier inlines and a plain increment: no lock, no shared cache
 * line, nothing that can be lost. The arrays are mapped by mpbench-bpf, which reads them without a system call. A thread
 * that finds no free row uses its target's shared row, with atomic increments.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "syscalls.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

/* What is used of the kernel's types; libbpf finds the fields' places from the running kernel's BTF. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct thread_info {
	unsigned long flags;
	uint32_t status;
};
typedef struct {
	uint32_t val;
} kuid_t;
struct cred {
	kuid_t uid, euid;
};
struct task_struct {
	struct thread_info thread_info;
	int pid, tgid;
	struct task_struct *group_leader;
	const struct cred *cred;
	char comm[TRACE_COMM];
};
struct io_kiocb {
	uint8_t opcode;
};
#pragma clang attribute pop

/* Set before loading; the verifier drops what they rule out. */
const volatile uint32_t level = TRACE_COUNT;
const volatile uint32_t n_targets = 1;
const volatile uint32_t limit_uid = 0xffffffff;
const volatile bool follow = true;     /* processes made by fork belong to their parent's target */
const volatile bool discover = false;  /* some target finds its processes itself */
const volatile bool by_cgroup = false; /* ... by cgroup, which a process may change any time */
const volatile bool adopt_threads =
	false; /* threads are found through their leader (no PIDFD_THREAD) */
const volatile uint8_t selects[TRACE_TARGETS_MAX] = {};
const volatile char comms[TRACE_TARGETS_MAX][TRACE_COMM] = {};
const volatile uint8_t kinds[2][TRACE_NR] = {};

struct trace_gauges gauges = {};

/*
 * The flights of threads that are found without their task storage, which is the truth: where `who` is the thread's
 * place() it is the thread's own, from its first counted call until its end.
 */
enum { QUICK = 1024 };
struct trace_flight quick[QUICK] __attribute__((aligned(64))) = {};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct trace_task);
} tasks SEC(".maps");

#define ARRAY_MAP(name_, value_) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1); \
		__type(key, uint32_t); \
		__type(value, value_); \
	} name_ SEC(".maps")

/* mpbench-bpf gives these their sizes. */
ARRAY_MAP(counts, struct trace_counts);
ARRAY_MAP(details, struct trace_details);
ARRAY_MAP(errnos, struct trace_errnos);
ARRAY_MAP(buckets, struct trace_buckets);
ARRAY_MAP(batches, struct trace_batches);
ARRAY_MAP(urings, struct trace_opcodes);
ARRAY_MAP(slots, struct trace_slot);

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, uint32_t);
} free_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, TRACE_TARGETS_MAX);
	__type(key, uint32_t);
	__type(value, uint32_t);
} cgroups SEC(".maps");

/* Bounds a computed index where the verifier sees it: the compiler, which knows the value's range, would leave it out. */
#define BOUNDED(index, size) \
	({ \
		barrier_var(index); \
		(index) < (size); \
	})

static __always_inline void add(uint64_t *p, uint64_t n, bool shared)
{
	if (shared)
		__sync_fetch_and_add(p, n);
	else
		*p += n;
}

#define GAUGE(target, name) (&gauges.of[(target) & (TRACE_TARGETS_MAX - 1)].name)

/* A bounded copy byte by byte: reading through a typed pointer is allowed where kernel memory may not be probed. */
static __always_inline void describe(struct trace_slot *s, struct task_struct *task)
{
	s->pid = task->tgid;
	s->tid = task->pid;
	for (int i = 0; i < TRACE_COMM; i++)
		s->comm[i] = task->comm[i];
}

/* Makes a thread one of a target's: a row of its own while there are some. */
static __always_inline void enlist(struct trace_task *rec, struct task_struct *task,
				   uint32_t target)
{
	struct trace_slot *s = NULL;
	uint32_t slot = 0;

	if (bpf_map_pop_elem(&free_slots, &slot) == 0)
		s = bpf_map_lookup_elem(&slots, &slot);
	if (s) {
		describe(s, task);
		s->target = target;
		s->state = TRACE_SLOT_LIVE;
		rec->flight.slot = slot;
		rec->flight.shared = 0;
	} else {
		rec->flight.slot = target;
		rec->flight.shared = 1;
		__sync_fetch_and_add(GAUGE(target, shared), 1);
	}
	rec->flight.target = target;
	rec->listed = 1;
	__sync_fetch_and_add(GAUGE(target, started), 1);
}

static __always_inline bool quick_used(void)
{
	return !discover && level < TRACE_OFFCPU;
}

/*
 * Where the registers of a thread in a call lie, which is at the top of its own kernel stack, as a number: the distance
 * from a place of ours, since the verifier lets no pointer be looked at otherwise.
 */
static __always_inline uint64_t place(const struct pt_regs *regs)
{
	uint64_t distance = (uint64_t)regs;

	asm volatile("%0 -= %1" : "+r"(distance) : "r"(&gauges));
	return distance;
}

/* Stacks are 16 KiB or more apart. */
static __always_inline uint32_t quick_index(uint64_t who)
{
	return (uint32_t)(who * 0x9e3779b97f4a7c15 >> 40) & (QUICK - 1);
}

/* The thread's flight where it is in `quick`. */
static __always_inline struct trace_flight *quick_flight(const struct pt_regs *regs)
{
	uint64_t who = place(regs);
	struct trace_flight *f = &quick[quick_index(who)];

	return quick_used() && f->who == who ? f : NULL;
}

static __always_inline struct trace_flight *flight_of(struct trace_task *rec)
{
	return rec->quick ? &quick[(rec->quick - 1) & (QUICK - 1)] : &rec->flight;
}

/* The thread's flight from now on; its own record's while another thread has the place. */
static __always_inline struct trace_flight *quick_take(struct trace_task *rec,
						       const struct pt_regs *regs)
{
	uint64_t who = place(regs);
	uint32_t index = quick_index(who);
	struct trace_flight *f = &quick[index];

	if (!quick_used() || rec->flight.shared || rec->quick)
		return flight_of(rec);
	if (f->who || __sync_val_compare_and_swap(&f->who, 0, who))
		return &rec->flight;
	f->slot = rec->flight.slot;
	f->target = rec->flight.target;
	f->call = 0;
	f->shared = 0;
	rec->quick = (uint16_t)(index + 1);
	return f;
}

/* The thread ends or belongs to no target any more. */
static __always_inline void quick_leave(struct trace_task *rec)
{
	if (rec->quick)
		flight_of(rec)->who = 0;
	rec->quick = 0;
}

/* The thread's row goes back to mpbench-bpf, which adds it to the target's and frees it. */
static __always_inline void delist(struct trace_task *rec)
{
	struct trace_slot *s;

	if (!rec->listed)
		return;
	rec->listed = 0;
	__sync_fetch_and_add(GAUGE(rec->flight.target, ended), 1);
	if (rec->flight.shared)
		return;
	s = bpf_map_lookup_elem(&slots, &rec->flight.slot);
	if (s)
		s->state = TRACE_SLOT_ENDED;
}

static __always_inline bool comm_is(struct task_struct *task, uint32_t target)
{
	struct task_struct *leader = task->group_leader;

	for (int i = 0; i < TRACE_COMM; i++) {
		char c = comms[target & (TRACE_TARGETS_MAX - 1)][i];

		if (leader->comm[i] != c)
			return false;
		if (!c)
			break;
	}
	return true;
}

/* The target that selects the current task, n_targets where none does. */
static __always_inline uint32_t classify(struct task_struct *task)
{
	for (uint32_t i = 0; i < TRACE_TARGETS_MAX; i++) {
		if (i >= n_targets)
			break;
		if (selects[i] == TRACE_SELECT_ALL)
			return i;
		if (selects[i] == TRACE_SELECT_COMM && comm_is(task, i))
			return i;
		if (selects[i] == TRACE_SELECT_CGROUP &&
		    bpf_current_task_under_cgroup(&cgroups, i) == 1)
			return i;
	}
	return n_targets;
}

static __always_inline void judge(struct trace_task *rec, struct task_struct *task)
{
	uint32_t target = classify(task);

	rec->recheck = 0;
	if (target >= n_targets) {
		rec->state = TRACE_TASK_IGNORED;
		return;
	}
	if (rec->listed && rec->flight.target != target)
		delist(rec);
	if (!rec->listed)
		enlist(rec, task, target);
	rec->state = TRACE_TASK_ACTIVE;
}

/* A thread that was there before its process was given, where the kernel cannot name threads to us. */
static __always_inline struct trace_task *adopt(struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct trace_task *rec, *given;

	if (!leader)
		return NULL;
	given = bpf_task_storage_get(&tasks, leader, 0, 0);
	if (!given || !given->given)
		return NULL;
	rec = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!rec) {
		__sync_fetch_and_add(&gauges.storage_failed, 1);
		return NULL;
	}
	rec->given = 1;
	rec->state = given->state;
	if (given->state != TRACE_TASK_NEVER) {
		enlist(rec, task, given->flight.target);
		rec->state = TRACE_TASK_ACTIVE;
	}
	return rec;
}

/* The current task's record when it enters a call; NULL when it is not watched. */
static __always_inline struct trace_task *find(struct task_struct *task)
{
	struct trace_task *rec;

	if (!discover) {
		rec = bpf_task_storage_get(&tasks, task, 0, 0);
		return !rec && adopt_threads ? adopt(task) : rec;
	}
	rec = bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!rec) {
		__sync_fetch_and_add(&gauges.storage_failed, 1);
		return NULL;
	}
	if (!rec->given && (by_cgroup || rec->recheck || rec->state == TRACE_TASK_NEW))
		judge(rec, task);
	return rec;
}

/* Whether the call being made is of the 32-bit table; a 64-bit program may make such calls too. */
static __always_inline bool is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread_info.status & 2; /* TS_COMPAT */
#elif defined(__TARGET_ARCH_arm64)
	return task->thread_info.flags & (1 << 22); /* TIF_32BIT */
#else
#error "the tracer knows x86_64 and aarch64"
#endif
}

static __always_inline void count(const struct trace_flight *f, uint32_t call)
{
	uint32_t nr = (call - 1) & (TRACE_NR - 1);
	bool compat = call & TRACE_CALL_COMPAT;
	uint32_t slot = compat ? n_targets + f->target : f->slot;
	struct trace_counts *row = bpf_map_lookup_elem(&counts, &slot);

	if (compat)
		__sync_fetch_and_add(GAUGE(f->target, compat), 1);
	if (row)
		add(&row->n[nr], 1, f->shared || compat);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct trace_flight *f = quick_flight(regs);
	uint32_t call = ((unsigned long)id < TRACE_NR_OTHER ? (uint32_t)id : TRACE_NR_OTHER) + 1;
	bool armed = false;

	if (is_compat(task))
		call |= TRACE_CALL_COMPAT;
	if (!f) {
		struct trace_task *rec = find(task);

		if (!rec || (rec->state != TRACE_TASK_ACTIVE && rec->state != TRACE_TASK_ARMED))
			return 0;
		rec->born = 1;
		armed = rec->state == TRACE_TASK_ARMED;
		f = armed ? &rec->flight : quick_take(rec, regs);
	}
	if (!armed)
		count(f, call);
	if (level > TRACE_COUNT || armed)
		f->call = call;
	if (level >= TRACE_OFFCPU)
		f->off_ns = 0;
	if (level >= TRACE_LATENCY)
		f->enter_ns = bpf_ktime_get_ns();
	return 0;
}

static __always_inline void note_error(struct trace_detail *d, uint32_t table, uint32_t error,
				       bool shared)
{
	struct trace_errnos *row = bpf_map_lookup_elem(&errnos, &table);
	uint32_t index = trace_errno_index(error);

	if (!trace_errno_restarts(error))
		add(&d->errors, 1, shared);
	if (row && BOUNDED(index, TRACE_ERRNOS))
		__sync_fetch_and_add(&row->n[index], 1);
}

static __always_inline void note_success(struct trace_detail *d, uint8_t kind, uint32_t target,
					 uint64_t ret, bool shared)
{
	if (kind == TRACE_KIND_NONE)
		return;
	if (kind == TRACE_KIND_BYTES) {
		add(&d->bytes, ret, shared);
	} else {
		struct trace_batches *row = bpf_map_lookup_elem(&batches, &target);
		uint32_t index = trace_batch_index((uint32_t)ret);

		add(&d->messages, ret, shared);
		if (row && BOUNDED(index, TRACE_BATCHES))
			__sync_fetch_and_add(&row->n[kind == TRACE_KIND_SENT][index], 1);
	}
}

static __always_inline void note_time(struct trace_detail *d, uint32_t table, uint64_t ns,
				      uint64_t off_ns, bool shared)
{
	struct trace_buckets *row = bpf_map_lookup_elem(&buckets, &table);
	uint32_t index = trace_bucket(ns);

	add(&d->time_ns, ns, shared);
	if (level >= TRACE_OFFCPU)
		add(&d->off_ns, off_ns, shared);
	if (ns > d->max_ns)
		d->max_ns = ns;
	if (row && BOUNDED(index, TRACE_BUCKETS))
		__sync_fetch_and_add(&row->n[index], 1);
}

/* The flight of a thread that leaves a call, as its record has it; NULL when it has entered none that we know of. */
static __always_inline struct trace_flight *find_flight(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct trace_task *rec = bpf_task_storage_get(&tasks, task, 0, 0);
	struct trace_flight *f;

	if (!rec || rec->state != TRACE_TASK_ACTIVE)
		return NULL;
	f = flight_of(rec);
	/* a child returning from its parent's fork has begun no call */
	if (!f->call && !rec->born)
		__sync_fetch_and_add(GAUGE(f->target, found_open), 1);
	rec->born = 1;
	return f->call ? f : NULL;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long ret)
{
	struct trace_flight *f = quick_flight(regs);
	uint32_t call, nr, slot, table, target;
	uint64_t now = 0;
	struct trace_detail *d;
	struct trace_details *row;
	bool compat, shared;

	if (!f || !f->call)
		f = find_flight();
	if (!f)
		return 0;
	if (level >= TRACE_LATENCY)
		now = bpf_ktime_get_ns();
	call = f->call;
	f->call = 0;
	target = f->target;
	compat = call & TRACE_CALL_COMPAT;
	shared = f->shared || compat;
	nr = (call - 1) & (TRACE_NR - 1);
	slot = compat ? n_targets + target : f->slot;
	table = ((compat ? n_targets : 0) + target) * TRACE_NR + nr;
	row = bpf_map_lookup_elem(&details, &slot);
	if (!row)
		return 0;
	d = &row->of[nr];
	add(&d->done, 1, shared);
	if (ret < 0 && ret >= -4095)
		note_error(d, table, (uint32_t)-ret, shared);
	else
		note_success(d, kinds[compat][nr], target, ret, shared);
	if (level >= TRACE_LATENCY)
		note_time(d, table, now - f->enter_ns, f->off_ns, shared);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct trace_task *of = bpf_task_storage_get(&tasks, parent, 0, 0);
	bool thread = parent->tgid == child->tgid;
	struct trace_task *rec;

	/* the children of processes that a target found itself are found the same way */
	if (!of || !of->given || (!thread && (!follow || of->state == TRACE_TASK_NEVER)))
		return 0;
	if (of->state != TRACE_TASK_ACTIVE && of->state != TRACE_TASK_NEVER)
		return 0;
	rec = bpf_task_storage_get(&tasks, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!rec) {
		__sync_fetch_and_add(&gauges.storage_failed, 1);
		return 0;
	}
	rec->given = 1;
	rec->born = 1;
	if (of->state == TRACE_TASK_ACTIVE)
		enlist(rec, child, of->flight.target);
	rec->state = of->state;
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid)
{
	struct trace_task *rec = bpf_task_storage_get(&tasks, task, 0, 0);
	struct trace_slot *s;

	if (!rec)
		return 0;
	rec->recheck = 1;
	if (limit_uid != 0xffffffff &&
	    (task->cred->uid.val != limit_uid || task->cred->euid.val != limit_uid)) {
		__sync_fetch_and_add(GAUGE(rec->flight.target, left_uid), rec->listed);
		quick_leave(rec);
		delist(rec);
		rec->state = TRACE_TASK_NEVER;
		rec->given = 1;
		return 0;
	}
	if (rec->state == TRACE_TASK_ARMED) {
		rec->state = TRACE_TASK_ACTIVE;
		if (rec->flight.call)
			count(&rec->flight, rec->flight.call);
	}
	if (!rec->listed || rec->flight.shared)
		return 0;
	s = bpf_map_lookup_elem(&slots, &rec->flight.slot);
	if (s)
		describe(s, task);
	return 0;
}

/* The call dies with its thread. */
static __always_inline void note_end(const struct trace_flight *f)
{
	bool compat = f->call & TRACE_CALL_COMPAT;
	uint32_t slot = compat ? n_targets + f->target : f->slot;
	struct trace_details *row = bpf_map_lookup_elem(&details, &slot);

	if (f->call && row)
		add(&row->of[(f->call - 1) & (TRACE_NR - 1)].ended, 1, f->shared || compat);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct trace_task *rec = bpf_task_storage_get(&tasks, task, 0, 0);

	if (!rec)
		return 0;
	if (level > TRACE_COUNT && rec->state == TRACE_TASK_ACTIVE)
		note_end(flight_of(rec));
	quick_leave(rec);
	delist(rec);
	/* the record outlives the thread for others who look through it: threads and io_uring workers of the process */
	if (rec->state == TRACE_TASK_ACTIVE)
		rec->state = TRACE_TASK_GONE;
	return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task)
{
	struct trace_task *rec = bpf_task_storage_get(&tasks, task, 0, 0);

	if (rec)
		rec->recheck = 1;
	return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct trace_task *rec = bpf_task_storage_get(&tasks, prev, 0, 0);
	uint64_t now = 0;

	if (rec && rec->flight.call) {
		now = bpf_ktime_get_ns();
		rec->off_since_ns = now;
	}
	rec = bpf_task_storage_get(&tasks, next, 0, 0);
	if (rec && rec->off_since_ns) {
		if (rec->flight.call)
			rec->flight.off_ns += (now ? now : bpf_ktime_get_ns()) - rec->off_since_ns;
		rec->off_since_ns = 0;
	}
	return 0;
}

/* Operations given through rings, also by the kernel's polling thread, which makes no system calls. */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring, struct io_kiocb *req)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct trace_task *rec = bpf_task_storage_get(&tasks, task, 0, 0);
	uint32_t opcode = req->opcode, target;
	struct trace_opcodes *row;

	if (!rec && task->group_leader)
		rec = bpf_task_storage_get(&tasks, task->group_leader, 0, 0);
	if (!rec || (rec->state != TRACE_TASK_ACTIVE && rec->state != TRACE_TASK_GONE))
		return 0;
	target = rec->flight.target;
	row = bpf_map_lookup_elem(&urings, &target);
	if (row)
		__sync_fetch_and_add(&row->n[opcode < TRACE_OPCODES ? opcode : TRACE_OPCODES - 1],
				     1);
	return 0;
}
