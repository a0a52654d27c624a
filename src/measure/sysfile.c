#include "measure/sysfile.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

static bool join(char out[PATH_MAX], const char *root, const char *path)
{
	int n = snprintf(out, PATH_MAX, "%s%s", root, path);

	return n > 0 && n < PATH_MAX;
}

FILE *sysfile_open(const char *root, const char *path)
{
	char full[PATH_MAX];

	return join(full, root, path) ? fopen(full, "re") : NULL;
}

bool sysfile_exists(const char *root, const char *path)
{
	char full[PATH_MAX];

	return join(full, root, path) && access(full, F_OK) == 0;
}

static void copy_line(char *out, size_t size, const char *line)
{
	size_t n = strcspn(line, "\n");

	snprintf(out, size, "%.*s", n < INT_MAX ? (int)n : INT_MAX, line);
}

bool sysfile_value(const char *root, const char *path, const char *key, char *out, size_t size)
{
	FILE *f = sysfile_open(root, path);
	size_t key_len = strlen(key);
	char line[1024];
	bool found = false;

	out[0] = '\0';
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		found = strncmp(line, key, key_len) == 0;
		if (found)
			copy_line(out, size, line + key_len + strspn(line + key_len, " \t:"));
	}
	fclose(f);
	return found;
}

bool sysfile_line(const char *root, const char *path, char *out, size_t size)
{
	return sysfile_value(root, path, "", out, size);
}

bool sysfile_parse_u64(const char *text, uint64_t *out, const char **end)
{
	const char *p = text + strspn(text, " \t");
	uint64_t v = 0;
	bool any = false;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return false;
		any = true;
	}
	if (any)
		*out = v;
	if (end)
		*end = p;
	return any;
}

bool sysfile_u64(const char *root, const char *path, uint64_t *out)
{
	char line[64];

	return sysfile_line(root, path, line, sizeof(line)) && sysfile_parse_u64(line, out, NULL);
}
