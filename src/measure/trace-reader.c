#include "measure/trace-reader.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"

/* Reads whole records into the buffer; at least one. */
static int fill(struct trace_reader *r, uint64_t deadline_ns, struct err *e)
{
	size_t have = 0;

	while (have == 0 || have % sizeof(r->record[0])) {
		struct pollfd p = { .fd = r->fd, .events = POLLIN };
		uint64_t now = clock_now();
		ssize_t n;

		r->polls++;
		if (now >= deadline_ns ||
		    poll(&p, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1) == 0)
			return err_set(e, ERR_MACHINE, "tracer", "mpbench-bpf does not answer");
		r->reads++;
		n = read(r->fd, (char *)r->record + have, sizeof(r->record) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_MACHINE, "ended", "mpbench-bpf ended early");
		have += (size_t)n;
	}
	r->next = 0;
	r->n = have / sizeof(r->record[0]);
	return 0;
}

const struct trace_record *trace_reader_next(struct trace_reader *r, uint64_t deadline_ns,
					     struct err *e)
{
	const struct trace_record *record;

	if (r->next == r->n && fill(r, deadline_ns, e) < 0)
		return NULL;
	record = &r->record[r->next++];
	if (record->magic == TRACE_MAGIC && record->protocol == TRACE_PROTOCOL &&
	    record->request == r->request)
		return record;
	err_set(e, ERR_MACHINE, "tracer",
		"mpbench-bpf is of another version (protocol %u, not %d): install both together",
		record->protocol, TRACE_PROTOCOL);
	return NULL;
}
