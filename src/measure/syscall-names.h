/* syscall-names - system calls, their errors and io_uring operations as words */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* All names are of static storage and last as long as the program. */

enum { SYSCALL_NUMBERS = 512 };

/* Sparse tables by number, made by tests/syscall-tables.py from the kernel's headers. i386's names begin "i386.". */
extern const char *const syscall_names_x86_64[SYSCALL_NUMBERS];
extern const char *const syscall_names_aarch64[SYSCALL_NUMBERS];
extern const char *const syscall_names_i386[SYSCALL_NUMBERS];

/*
 * The name on this machine; `compat`: of its 32-bit table (x86_64: "i386.read"; aarch64: "arm.syscall_003"). Numbers
 * without a name are "syscall_NNN", those from 511 on "syscall_other".
 */
const char *syscall_name(bool compat, uint32_t nr);
/* For tests: the number of a native name, -1 where there is none. */
int syscall_number(const char *name);

/* What a call is for: "recv", "send", "read", "write", "poll", "open", "file", "memory", "sync", "time", "process",
 * "signal", "socket", "uring" or "other". Takes names with or without the 32-bit prefix. */
const char *syscall_family(const char *name);

/* "EAGAIN"; the kernel's internal restart codes too ("ERESTARTSYS"); "E???" for what has no name. */
const char *syscall_errno_name(uint32_t error);

/* "read", "send_zc"...; "opcode_other" beyond what is known. */
const char *syscall_uring_name(uint32_t opcode);
