/* stream - a descriptor that is read as it comes and written at once, with a bounded queue behind it */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct stream;

/*
 * readable  bytes, or the end, are there; called again and again until stream_read took them
 * drained   what was queued is with the kernel
 * gone      only while paused: the other side will send nothing more (`dead`: it is not there at all any more). Told once.
 * Every one of them may call stream_done as the last thing it does with the stream.
 */
struct stream_ops {
	void (*readable)(struct stream *s);
	void (*drained)(struct stream *s);
	void (*gone)(struct stream *s, bool dead);
};

/* Embedded in its owner (CONTAINER_OF finds it back); zeroed memory is a stream that stream_done leaves alone. */
struct stream {
	const struct stream_ops *ops;
	struct loop *loop;
	struct watch watch;
	int fd;
	bool open, socket, paused, failed, told;
	struct buf out; /* not yet with the kernel, from out_off on */
	size_t out_off;
	uint64_t reads, writes; /* system calls */
};

/* Takes fd (non-blocking) over, also on failure. `max` bounds the queue. Reading begins at once. */
int stream_init(struct stream *s, struct loop *l, int fd, size_t max, const struct stream_ops *ops,
		struct err *e) ERR_MUST_CHECK;
/* Stops watching, closes, drops the queue. Legal twice. */
void stream_done(struct stream *s);
/* The same, but hands the descriptor to the caller. */
int stream_take(struct stream *s);

/* One read(2): > 0 bytes, 0 nothing there, -1 the end (end of file, EIO of a terminal, reset). */
ssize_t stream_read(struct stream *s, void *buf, size_t size);
/* Writes at once what the kernel takes and queues the rest. -1: the other side is gone, or the queue would exceed its
 * bound (nothing was taken then); the stream is of no use any more. */
int stream_write(struct stream *s, const void *data, size_t len);
size_t stream_pending(const struct stream *s);
/* Forgets what is queued. */
void stream_drop(struct stream *s);
/* Stops (true) or resumes `readable`. */
void stream_pause(struct stream *s, bool pause);
/* Looks without waiting whether the other side of a socket has closed, even where unread bytes lie before its end. */
bool stream_is_gone(const struct stream *s);
