/* err - what went wrong, said once by the function that saw it */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* The kind is the exit status of the command (see every man page, EXIT STATUS). */
enum err_kind {
	ERR_NONE = 0,
	ERR_CHECK = 1,	  /* a check or a comparison failed */
	ERR_USAGE = 2,	  /* wrong options, unreadable input */
	ERR_MACHINE = 3,  /* this machine cannot: privilege, missing feature, missing program */
	ERR_TARGET = 4,	  /* the target failed */
	ERR_INTERNAL = 5, /* the result could not be written, or a bug here (also: out of memory) */
};

enum { ERR_MSG_MAX = 512, ERR_CODE_MAX = 32 };

/*
 * Functions that can fail return 0, or -1 with *e filled: kind, errno (0 where there is none), a short
 * machine-readable code ("timeout", "refused"; document field error.code) and one line that names the
 * thing, without a newline. The struct owns no memory, so it works when there is none left.
 */
struct err {
	enum err_kind kind;
	int sys;
	char code[ERR_CODE_MAX];
	char msg[ERR_MSG_MAX];
};

#define ERR_MUST_CHECK __attribute__((warn_unused_result))

/* All of these return -1. The message is cut at ERR_MSG_MAX; control characters in it are made '?'. */
int err_set(struct err *e, enum err_kind kind, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* As err_set with sys = errno and ": strerror(errno)" appended; code is the errno's lower-case name class. */
int err_sys(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* ERR_INTERNAL "out of memory". */
int err_nomem(struct err *e);
/* Puts "fmt...: " before the message that is there; kind, sys and code stay. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *e);

/* All of them return -1; said where callers are compiled, so that their analysers know that a failure is one. */
static inline int err_failed(int rc)
{
	(void)rc;
	return -1;
}
#define err_set(...) err_failed((err_set)(__VA_ARGS__))
#define err_sys(...) err_failed((err_sys)(__VA_ARGS__))
#define err_wrap(...) err_failed((err_wrap)(__VA_ARGS__))
#define err_nomem(e) err_failed((err_nomem)(e))
