#include "base/log.h"

#include <stdio.h>

void log_say(const struct log *log, enum log_level level, const char *code, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!log || !log->say)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log->say(log->ctx, level, code, text);
}
