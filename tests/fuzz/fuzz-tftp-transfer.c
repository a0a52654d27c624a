/* The bytes decide what a damaged network and a lying peer do to a transfer: both halves must end, in bounded steps. */
#include "tftp-sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sim s;
	static uint8_t content[1 << 16], room[(1 << 16) + 65536];
	struct sim_source source = { .pick = sim_bytes, .bytes = data, .left = size };

	memset(&s, 0, sizeof(s));
	s.source = &source;
	s.now_ns = 1;
	s.content = content;
	s.got = room;
	s.plan.delay_ns = 1000000;
	s.limits = (struct tftp_limits)TFTP_LIMITS_DEFAULT;
	s.params = (struct tftp_client_params){
		.file = "f", .rollover = -1, .timeout_ns = 1000000000, .retries = 4
	};
	s.params.write = sim_bytes(&source, 2);
	s.params.ask.set = sim_bytes(&source, 64);
	s.params.ask.blksize = 8 + sim_bytes(&source, 2000);
	s.params.ask.windowsize = 1 + sim_bytes(&source, 70);
	s.params.ask.timeout_s = 1;
	s.params.ask.utimeout_us = 20000;
	s.params.ask.rollover = sim_bytes(&source, 2);
	s.params.size = s.size = sim_bytes(&source, 20000);
	s.limits.max_bytes = s.params.max_bytes = s.size + 60000;
	s.plan.lie_ppm = sim_bytes(&source, 256) * 4000;
	s.plan.loss_ppm = sim_bytes(&source, 256) * 1000;
	s.plan.dup_ppm = sim_bytes(&source, 256) * 1000;
	s.plan.stray_ppm = sim_bytes(&source, 256) * 1000;
	if (!sim_run(&s) || !tftp_client_over(&s.client))
		abort();
	sim_done(&s);
	return 0;
}
