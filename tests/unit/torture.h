/* The allocation that fails: jansson's through its hook (json_set_alloc_funcs(failing_malloc, free)), and under no sanitizer
 * the C library's too. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static long countdown; /* the allocation at which it hits 0 fails; below 0: none */

/* Every allocation with MPBENCH_TORTURE=all (minutes), else each 29th. */
static long stride(void)
{
	const char *how = getenv("MPBENCH_TORTURE");

	return how && strcmp(how, "all") == 0 ? 1 : 29;
}

static bool fails_now(void)
{
	return countdown > 0 && --countdown == 0;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SANITIZED)
static void *failing_malloc(size_t n)
{
	return fails_now() ? NULL : malloc(n);
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	return fails_now() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __libc_realloc(p, n);
}

static void *failing_malloc(size_t n)
{
	return malloc(n);
}
#endif
