#include "proto/netascii.h"

size_t netascii_length(const void *in, size_t len)
{
	const unsigned char *p = in;
	size_t n = len;

	for (size_t i = 0; i < len; i++)
		n += p[i] == '\n' || p[i] == '\r';
	return n;
}

size_t netascii_encode(void *out, const void *in, size_t len)
{
	const unsigned char *p = in;
	unsigned char *o = out;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '\n') {
			o[n++] = '\r';
			o[n++] = '\n';
		} else if (p[i] == '\r') {
			o[n++] = '\r';
			o[n++] = '\0';
		} else {
			o[n++] = p[i];
		}
	}
	return n;
}

size_t netascii_decode(struct netascii *d, void *out, const void *in, size_t len, bool last)
{
	const unsigned char *p = in;
	unsigned char *o = out;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (d->cr) {
			d->cr = false;
			if (p[i] == '\n' || p[i] == '\0') {
				o[n++] = p[i] == '\n' ? '\n' : '\r';
				continue;
			}
			o[n++] = '\r';
		}
		if (p[i] == '\r')
			d->cr = true;
		else
			o[n++] = p[i];
	}
	if (last && d->cr) {
		o[n++] = '\r';
		d->cr = false;
	}
	return n;
}
