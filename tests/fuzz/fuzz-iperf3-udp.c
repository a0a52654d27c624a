/* Any datagrams, cut out of the input: the counts add up and stay within what they can be. */
#include <stdint.h>
#include <stdlib.h>

#include "proto/iperf3-udp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(iperf3_udp_account_done) struct iperf3_udp_account a;
	uint64_t n = 0, now = 0;
	bool wide = size && data[0] & 1;
	struct err e;

	if (iperf3_udp_account_init(&a, &e) < 0)
		return 0;
	for (size_t at = 1; at < size; n++) {
		size_t len = data[at] % 24;

		at++;
		if (len > size - at)
			len = size - at;
		now += (uint64_t)data[at - 1] << (data[at - 1] % 40);
		if (iperf3_udp_account_add(&a, data + at, len, wide, now) < -1)
			abort();
		(void)iperf3_udp_is_hello(data + at, len);
		at += len;
	}
	if (a.received + a.alien != n || a.unique + a.duplicates + a.late != a.received ||
	    a.unique > a.highest || a.reordered > a.unique || a.peer_errors < 0)
		abort();
	return 0;
}
