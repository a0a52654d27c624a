/* syscalls - what the kernel side of the tracer, mpbench-bpf and mpbench agree on */
#pragma once

/*
 * Included by three programs that share no library: bpf/syscalls.bpf.c (no libc at all), bpf/mpbench-bpf and
 * src/measure. Only fixed-width fields, no pointers, no padding. A change of any layout raises TRACE_PROTOCOL.
 */
#ifdef __bpf__
typedef __UINT8_TYPE__ uint8_t;
typedef __UINT16_TYPE__ uint16_t;
typedef __UINT32_TYPE__ uint32_t;
typedef __UINT64_TYPE__ uint64_t;
typedef __INT32_TYPE__ int32_t;
#else
#include <stdint.h>
#endif

enum { TRACE_PROTOCOL = 1 };
#define TRACE_MAGIC 0x6d706266u /* "mpbf" */

enum {
	TRACE_NR = 512,	      /* numbers 0..510 have counters of their own */
	TRACE_NR_OTHER = 511, /* all numbers beyond (x32 calls, invalid ones) */
	TRACE_TARGETS_MAX = 16,
	TRACE_ERRNOS = 160,    /* see trace_errno_index */
	TRACE_BATCHES = 72,    /* see trace_batch_index */
	TRACE_OPCODES = 64,    /* io_uring; the last one stands for all beyond */
	TRACE_BUCKET_BITS = 3, /* 8 buckets an octave: width at most 1/8 of the value */
	TRACE_BUCKETS = 320,   /* to 2^42 ns; longer calls are in the last bucket */
	TRACE_COMM = 16,
	TRACE_THREADS_MAX = 8192,
};

/* What is recorded; each level includes those before it. */
enum trace_level { TRACE_COUNT, TRACE_ERRORS, TRACE_LATENCY, TRACE_OFFCPU };

/* How a target's processes are found. PIDS are given by command; the others find themselves. */
enum trace_select { TRACE_SELECT_PIDS, TRACE_SELECT_COMM, TRACE_SELECT_CGROUP, TRACE_SELECT_ALL };

/* What a successful return value means. */
enum trace_kind { TRACE_KIND_NONE, TRACE_KIND_BYTES, TRACE_KIND_RECEIVED, TRACE_KIND_SENT };

/*
 * Calls of one number. Written by one thread only, but for rows that targets share. `done` calls have returned,
 * `ended` ones died with their thread (exit itself, a killed reader); the rest is under way. Interrupted calls that
 * the kernel restarts (ERESTART*) are not in `errors`.
 */
struct trace_detail {
	uint64_t done, errors, ended, bytes, messages, time_ns, off_ns, max_ns;
};

/* Who owns a row of counters: one thread. */
enum { TRACE_SLOT_FREE, TRACE_SLOT_LIVE, TRACE_SLOT_ENDED };
struct trace_slot {
	uint32_t state, target;
	uint32_t pid,
		tid; /* of those given by command as the command said, else as the initial PID namespace has it */
	char comm[TRACE_COMM];
};

/*
 * The call that a thread is making: its number plus one (TRACE_CALL_COMPAT added for the 32-bit table), 0: none. `who`
 * is 0 in a thread's own record; see `quick` in syscalls.bpf.c.
 */
enum { TRACE_CALL_COMPAT = 1 << 15 };
struct trace_flight {
	uint64_t who;
	uint32_t slot;
	uint16_t call;
	uint8_t target, shared;
	uint64_t enter_ns, off_ns;
};

/*
 * The record of a thread, in its task storage. `quick`: where else its flight is kept, plus one; 0: here. `given`: named
 * by command or descended from one so named. `born`: has not been inside a call when it was added. `recheck`: judge
 * again at the next call.
 */
enum {
	TRACE_TASK_NEW,
	TRACE_TASK_IGNORED,
	TRACE_TASK_ARMED,
	TRACE_TASK_ACTIVE,
	TRACE_TASK_GONE,
	TRACE_TASK_NEVER
};
struct trace_task {
	struct trace_flight flight;
	uint16_t quick;
	uint8_t state, listed, given, born, recheck, reserved;
	uint64_t off_since_ns;
};

/* The rows of counters. 0..n-1 are shared by each target's threads, n..2n-1 by its 32-bit calls, then one a thread. */
struct trace_counts {
	uint64_t n[TRACE_NR];
};
struct trace_details {
	struct trace_detail of[TRACE_NR];
};
/* One row a (compat * n + target) * TRACE_NR + number. */
struct trace_errnos {
	uint64_t n[TRACE_ERRNOS];
};
struct trace_buckets {
	uint64_t n[TRACE_BUCKETS];
};
/* One row a target; [0] received, [1] sent. */
struct trace_batches {
	uint64_t n[2][TRACE_BATCHES];
};
struct trace_opcodes {
	uint64_t n[TRACE_OPCODES];
};

/* What went wrong or aside, machine-readable; all are totals since the start, but for the first by target. */
struct trace_gauges {
	uint64_t storage_failed; /* a thread that should be watched is not: counts are NOT exact */
	struct {
		uint64_t started, ended; /* threads */
		uint64_t
			shared; /* threads that had to share a row: counts exact, breakdown merged */
		uint64_t found_open; /* calls under way when their thread was added: not counted */
		uint64_t left_uid;   /* processes that a set-uid program took out of reach */
		uint64_t compat;     /* 32-bit calls */
	} of[TRACE_TARGETS_MAX];
};

/* Bucket of a duration; the same rule as src/stats/histogram.h with fewer sub-buckets. */
static inline __attribute__((always_inline)) uint32_t trace_bucket(uint64_t ns)
{
	uint64_t v = ns >> TRACE_BUCKET_BITS;
	uint32_t e = 0;

#pragma GCC unroll 5
	for (uint32_t bits = 32; bits >= 2; bits /= 2) {
		if (v >> bits) {
			v >>= bits;
			e += bits;
		}
	}
	e += (uint32_t)(v >> 1);
	e = (e << TRACE_BUCKET_BITS) + (uint32_t)(ns >> e);
	return e < TRACE_BUCKETS ? e : TRACE_BUCKETS - 1;
}

/* Index of an errno: itself below 140; the kernel's internal restart codes 512..530 follow; the last one is any other. */
static inline __attribute__((always_inline)) uint32_t trace_errno_index(uint32_t error)
{
	if (error < 140)
		return error;
	return error >= 512 && error <= 530 ? error - 512 + 140 : TRACE_ERRNOS - 1;
}

static inline uint32_t trace_errno_value(uint32_t index)
{
	if (index < 140)
		return index;
	return index < TRACE_ERRNOS - 1 ? index - 140 + 512 : 0;
}

/* The kernel's ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND and ERESTART_RESTARTBLOCK: the call begins again, or its
 * caller gets EINTR when a handler without SA_RESTART ran. */
static inline __attribute__((always_inline)) int trace_errno_restarts(uint32_t error)
{
	return (error >= 512 && error <= 514) || error == 516;
}

/* Index of a batch: itself up to 64; then one index an octave (65..127, 128..255, ..., 1024). */
static inline __attribute__((always_inline)) uint32_t trace_batch_index(uint32_t messages)
{
	if (messages <= 64)
		return messages;
	if (messages < 128)
		return 65;
	if (messages < 256)
		return 66;
	if (messages < 512)
		return 67;
	return messages < 1024 ? 68 : 69;
}

/*
 * The pipe protocol. mpbench starts
 *
 *     mpbench-bpf PROTOCOL LEVEL THREADS FOLLOW TARGET...
 *
 * with numbers (FOLLOW 0 or 1: children too; THREADS: rows for threads) and one TARGET each of "pids", "comm:NAME",
 * "cgroup:PATH" or "all". It answers on stdout with one READY record, or a FAULT record and a non-zero exit status.
 * From then on it takes commands on stdin, each answered by records with the command's `request` number, the last of
 * them END or FAULT. It ends when stdin does.
 */
enum trace_op {
	TRACE_OP_ADD =
		1, /* watch process `pid` (all its threads) as `target`; `armed`: count from its next exec on */
	TRACE_OP_SNAPSHOT, /* all counters; before that wait until they stood still `still_ns`, at most `limit_ns` */
};
enum { TRACE_WANT_THREADS = 1 }; /* flags of SNAPSHOT: the rows of each thread too */
/* Instead of a target: this process's threads belong to no target (mpbench itself, where everything is watched). */
#define TRACE_NEVER 0xffffffffu

struct trace_command {
	uint32_t magic;
	uint16_t protocol, op;
	uint32_t request, flags;
	uint32_t target, pid;
	uint32_t armed, reserved;
	uint64_t still_ns, limit_ns;
};

enum trace_type {
	TRACE_READY = 1,
	TRACE_FAULT,
	TRACE_CALL,   /* counters of one system call of one target (or thread, where slot != 0) */
	TRACE_ERRNO,  /* count of one errno of one system call */
	TRACE_BUCKET, /* count of one latency bucket of one system call */
	TRACE_BATCH,  /* count of one return value of recvmmsg (nr = 0) or sendmmsg (nr = 1) */
	TRACE_URING,  /* operations of one io_uring opcode (nr) */
	TRACE_THREAD, /* who a slot is */
	TRACE_STATE,  /* gauges of one target and of all */
	TRACE_END,
};

/* Codes of FAULT. */
enum trace_fault {
	TRACE_FAULT_USAGE = 1, /* arguments or commands that are not understood */
	TRACE_FAULT_PRIVILEGE, /* CAP_BPF and CAP_PERFMON are missing */
	TRACE_FAULT_REFUSED, /* the capabilities are there, the kernel says no (lockdown, seccomp) */
	TRACE_FAULT_BTF,     /* the kernel has no BTF */
	TRACE_FAULT_KERNEL,  /* a feature is missing: too old */
	TRACE_FAULT_NO_PROCESS, /* no such process, or it ended */
	TRACE_FAULT_OWNER, /* a process or cgroup of somebody else, or a selection that only root may make */
	TRACE_FAULT_TAKEN, /* the process is watched already as another target */
	TRACE_FAULT_OTHER,
};

enum { TRACE_READY_LATE = 1, TRACE_READY_URING = 2 }; /* value[1] of READY */

enum { TRACE_VALUES = 12, TRACE_TEXT = TRACE_VALUES * 8 };

/*
 * 128 bytes, whatever the type. `slot` 0: the sum over the target's threads.
 *   READY   value[0] level, [1] TRACE_READY_* flags: targets may be added now and later; io_uring is seen
 *   FAULT   nr = code, index = errno, text
 *   CALL    value[0] calls, then struct trace_detail in order (all 0 at level count)
 *   ERRNO, BUCKET, BATCH   index, value[0] count
 *   URING   value[0] count
 *   THREAD  slot, nr = pid, index = tid, value[0] TRACE_SLOT_*, text + 8 = comm
 *   STATE   of the target: value[0] live threads, [1] started, [3] shared, [4] found_open, [5] left_uid, [6] compat;
 *           of all: [2] storage_failed, [7] runs of a program that the kernel skipped
 *   END     value[0] time of the snapshot (CLOCK_MONOTONIC), [1] 1 when the counters stood still, [2] how long the
 *           wait for it took; after ADD: value[3] threads added
 */
struct trace_record {
	uint32_t magic;
	uint16_t protocol, type;
	uint32_t request, target;
	uint32_t slot, compat; /* 1: the number is of the 32-bit table */
	uint32_t nr, index;    /* system call number, where the type does not say otherwise */
	union {
		uint64_t value[TRACE_VALUES];
		char text[TRACE_TEXT];
	};
};
_Static_assert(sizeof(struct trace_record) == 128, "records are 128 bytes");
_Static_assert(sizeof(struct trace_command) == 48, "commands are 48 bytes");
