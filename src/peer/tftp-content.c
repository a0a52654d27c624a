#include "peer/tftp-content.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"

void tftp_content_done(struct tftp_content *c)
{
	free(c->bytes);
	memset(c, 0, sizeof(*c));
}

static int read_all(int fd, struct tftp_content *c, const char *path, struct err *e)
{
	while (c->size < c->room) {
		ssize_t n = read(fd, c->bytes + c->size, c->room - c->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_USAGE, "read %s", path);
		if (n == 0)
			break;
		c->size += (uint64_t)n;
	}
	return 0;
}

int tftp_content_load(struct tftp_content *c, const char *path, struct err *e)
{
	struct stat st;
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	memset(c, 0, sizeof(*c));
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, ERR_USAGE, "cannot read %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > TFTP_CONTENT_MAX)
		return err_set(e, ERR_USAGE, "file", "%s is not a regular file of at most 1 GiB",
			       path);
	c->room = (uint64_t)st.st_size;
	c->bytes = malloc(c->room + 1);
	if (!c->bytes)
		return err_nomem(e);
	if (read_all(fd, c, path, e) < 0) {
		tftp_content_done(c);
		return -1;
	}
	return 0;
}

int tftp_content_make(struct tftp_content *c, uint64_t size, uint64_t seed, struct err *e)
{
	memset(c, 0, sizeof(*c));
	if (size > TFTP_CONTENT_MAX)
		return err_set(e, ERR_USAGE, "size", "more than 1 GiB to send");
	c->bytes = malloc(size + 8);
	if (!c->bytes)
		return err_nomem(e);
	for (uint64_t i = 0; i < size; i += 8) {
		uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed;

		z = (z ^ z >> 32) * UINT64_C(0xd6e8feb86659fd93);
		z ^= z >> 29;
		memcpy(c->bytes + i, &z, 8);
	}
	c->size = c->room = size;
	return 0;
}

void tftp_content_sha256(const struct tftp_content *c, char out[65])
{
	struct sha256 sum;

	sha256_init(&sum);
	sha256_add(&sum, c->bytes, c->size);
	sha256_hex(&sum, out);
}

static int64_t record(struct tftp_content *c, uint64_t offset, const uint8_t *bytes, size_t len)
{
	if (offset != c->size || c->size + len > TFTP_CONTENT_MAX)
		return (int64_t)c->size;
	if (c->size + len > c->room) {
		uint64_t room = c->room ? 2 * c->room : 65536;
		uint8_t *grown;

		while (room < c->size + len)
			room *= 2;
		grown = realloc(c->bytes, room);
		if (!grown)
			return (int64_t)c->size;
		c->bytes = grown;
		c->room = room;
	}
	memcpy(c->bytes + c->size, bytes, len);
	c->size += len;
	return -1;
}

int64_t tftp_content_check(struct tftp_content *c, uint64_t offset, const uint8_t *bytes,
			   size_t len)
{
	size_t n, i = 0;

	if (c->recording)
		return len ? record(c, offset, bytes, len) : -1;
	if (offset > c->size)
		return (int64_t)c->size;
	n = c->size - offset < len ? (size_t)(c->size - offset) : len;
	if (n && memcmp(c->bytes + offset, bytes, n) != 0) {
		while (c->bytes[offset + i] == bytes[i])
			i++;
		return (int64_t)(offset + i);
	}
	return n < len ? (int64_t)c->size : -1;
}

void tftp_content_describe(const struct tftp_content *c, uint64_t at, char *out, size_t size)
{
	if (c->recording)
		snprintf(out, size, "file too large to keep (%" PRIu64 " bytes)", c->size);
	else if (at >= c->size)
		snprintf(out, size, "more than the %" PRIu64 " bytes expected", c->size);
	else
		snprintf(out, size, "byte %" PRIu64 " is wrong", at);
}
