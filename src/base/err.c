#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void tidy(char *msg)
{
	for (unsigned char *p = (unsigned char *)msg; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static void set_code(struct err *e, const char *code)
{
	snprintf(e->code, sizeof(e->code), "%s", code ? code : "");
}

/* The short names that scripts match on; anything else is "io". */
static const char *errno_code(int sys)
{
	switch (sys) {
	case ECONNREFUSED:
		return "refused";
	case ETIMEDOUT:
		return "timeout";
	case ENOENT:
		return "not-found";
	case EACCES:
	case EPERM:
		return "permission";
	case ENOMEM:
		return "no-memory";
	case ENOSPC:
	case EDQUOT:
		return "no-space";
	case EMFILE:
	case ENFILE:
		return "no-fds";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "unreachable";
	case ECONNRESET:
	case EPIPE:
		return "closed";
	case EBUSY:
	case EWOULDBLOCK:
		return "busy";
	case EADDRINUSE:
		return "in-use";
	default:
		return "io";
	}
}

int(err_set)(struct err *e, enum err_kind kind, const char *code, const char *fmt, ...)
{
	va_list ap;

	e->kind = kind;
	e->sys = 0;
	set_code(e, code);
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	tidy(e->msg);
	return -1;
}

int(err_sys)(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;
	size_t used;

	e->kind = kind;
	e->sys = sys;
	set_code(e, errno_code(sys));
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = strlen(e->msg);
	snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", strerror(sys));
	tidy(e->msg);
	return -1;
}

int(err_nomem)(struct err *e)
{
	return (err_set)(e, ERR_INTERNAL, "no-memory", "out of memory");
}

int(err_wrap)(struct err *e, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	va_list ap;
	size_t used;

	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	used = strlen(e->msg);
	snprintf(e->msg + used, sizeof(e->msg) - used, ": %s", old);
	tidy(e->msg);
	return -1;
}

void err_clear(struct err *e)
{
	memset(e, 0, sizeof(*e));
}
