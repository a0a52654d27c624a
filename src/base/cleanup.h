/* cleanup - scope-bound release of what a function owns */
#pragma once

/*
 * `CLEANUP(x_free) struct x *p = NULL;` calls x_free(p) when p leaves scope. The pair is declared once,
 * beside x_free, by CLEANUP_PTR(struct x, x_free) (heap objects; free(NULL) is legal) or
 * CLEANUP_OBJ(struct x, x_done) (embedded objects, passed by address).
 */
#define CLEANUP(fn) __attribute__((cleanup(fn##_cleanup)))

#define CLEANUP_PTR(type, fn) \
	static inline __attribute__((unused)) void fn##_cleanup(type **p) \
	{ \
		if (*p) \
			fn(*p); \
	}

#define CLEANUP_OBJ(type, fn) \
	static inline __attribute__((unused)) void fn##_cleanup(type *p) \
	{ \
		fn(p); \
	}

/* Hands ownership over: yields p and leaves NULL behind. */
#define TAKE(p) \
	({ \
		__typeof__(p) take_ = (p); \
		(p) = NULL; \
		take_; \
	})

/* An owned file descriptor: -1 means none. */
void fd_close(int *fd);
#define CLEANUP_FD __attribute__((cleanup(fd_close)))
/* Hands a descriptor over: returns it and leaves -1 behind. */
int fd_take(int *fd);

/* A malloc'ed block of any type. */
void mem_free(void *pp);
#define CLEANUP_FREE __attribute__((cleanup(mem_free)))
