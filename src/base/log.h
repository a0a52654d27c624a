/* log - what lower layers have to say, handed up to whoever prints */
#pragma once

#include <stdarg.h>

enum log_level { LOG_WARNING, LOG_NOTE, LOG_DETAIL };

/* A sink given by cmd. `code` is a short stable word ("dtr-no-answer"); text is one line without newline. Warnings
 * end up in the document's warnings[] (each code+text once), notes with -v, details with -vv. */
struct log {
	void (*say)(void *ctx, enum log_level level, const char *code, const char *text);
	void *ctx;
};

/* No-op when log or log->say is NULL. Text is cut at 511 bytes. */
void log_say(const struct log *log, enum log_level level, const char *code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
