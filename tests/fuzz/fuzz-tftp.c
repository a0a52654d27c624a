/* Any bytes as a TFTP packet: no read outside of it, and what is accepted can be formatted again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/tftp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tftp_packet p, again;
	uint8_t packet[TFTP_CONTROL_MAX];
	const char *why;
	size_t n;

	if (tftp_parse(&p, data, size, &why) < 0)
		return 0;
	if (p.op == TFTP_OACK) {
		n = tftp_format_oack(packet, sizeof(packet), &p.opt);
		if (!n || tftp_parse(&again, packet, n, &why) < 0 || again.opt.set != p.opt.set ||
		    again.opt.tsize != p.opt.tsize || again.opt.blksize != p.opt.blksize)
			abort();
	} else if (p.op == TFTP_RRQ || p.op == TFTP_WRQ) {
		n = tftp_format_request(packet, sizeof(packet), p.op, p.file, p.mode, &p.opt);
		if (!n || tftp_parse(&again, packet, n, &why) < 0 ||
		    strcmp(again.file, p.file) != 0)
			abort();
	}
	return 0;
}
