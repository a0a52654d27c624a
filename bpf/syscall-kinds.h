/* syscall-kinds - which calls return bytes, and which messages */
#pragma once

#include <sys/syscall.h>

#include "syscalls.h"

struct syscall_kind {
	uint16_t nr;
	uint8_t compat, kind;
};

/* clang-format off */
static const struct syscall_kind syscall_kinds[] = {
	{ SYS_read, 0, TRACE_KIND_BYTES }, { SYS_write, 0, TRACE_KIND_BYTES },
	{ SYS_pread64, 0, TRACE_KIND_BYTES }, { SYS_pwrite64, 0, TRACE_KIND_BYTES },
	{ SYS_readv, 0, TRACE_KIND_BYTES }, { SYS_writev, 0, TRACE_KIND_BYTES },
	{ SYS_preadv, 0, TRACE_KIND_BYTES }, { SYS_pwritev, 0, TRACE_KIND_BYTES },
	{ SYS_preadv2, 0, TRACE_KIND_BYTES }, { SYS_pwritev2, 0, TRACE_KIND_BYTES },
	{ SYS_sendto, 0, TRACE_KIND_BYTES }, { SYS_recvfrom, 0, TRACE_KIND_BYTES },
	{ SYS_sendmsg, 0, TRACE_KIND_BYTES }, { SYS_recvmsg, 0, TRACE_KIND_BYTES },
	{ SYS_sendfile, 0, TRACE_KIND_BYTES }, { SYS_splice, 0, TRACE_KIND_BYTES },
	{ SYS_tee, 0, TRACE_KIND_BYTES }, { SYS_vmsplice, 0, TRACE_KIND_BYTES },
	{ SYS_copy_file_range, 0, TRACE_KIND_BYTES },
	{ SYS_recvmmsg, 0, TRACE_KIND_RECEIVED }, { SYS_sendmmsg, 0, TRACE_KIND_SENT },
#if defined(__x86_64__)
	/* the i386 table: read write readv writev pread64 pwrite64 sendfile sendfile64 splice tee vmsplice preadv pwritev
	 * sendto sendmsg recvfrom recvmsg copy_file_range preadv2 pwritev2, then recvmmsg (two) and sendmmsg */
	{ 3, 1, TRACE_KIND_BYTES }, { 4, 1, TRACE_KIND_BYTES }, { 145, 1, TRACE_KIND_BYTES },
	{ 146, 1, TRACE_KIND_BYTES }, { 180, 1, TRACE_KIND_BYTES }, { 181, 1, TRACE_KIND_BYTES },
	{ 187, 1, TRACE_KIND_BYTES }, { 239, 1, TRACE_KIND_BYTES }, { 313, 1, TRACE_KIND_BYTES },
	{ 315, 1, TRACE_KIND_BYTES }, { 316, 1, TRACE_KIND_BYTES }, { 333, 1, TRACE_KIND_BYTES },
	{ 334, 1, TRACE_KIND_BYTES }, { 369, 1, TRACE_KIND_BYTES }, { 370, 1, TRACE_KIND_BYTES },
	{ 371, 1, TRACE_KIND_BYTES }, { 372, 1, TRACE_KIND_BYTES }, { 377, 1, TRACE_KIND_BYTES },
	{ 378, 1, TRACE_KIND_BYTES }, { 379, 1, TRACE_KIND_BYTES },
	{ 337, 1, TRACE_KIND_RECEIVED }, { 417, 1, TRACE_KIND_RECEIVED }, { 345, 1, TRACE_KIND_SENT },
#endif
};
/* clang-format on */
