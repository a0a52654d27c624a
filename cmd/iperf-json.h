/* iperf-json - what iperf3 --json and --json-stream print */
#pragma once

#include "iperf-cases.h"

/* Prints the last complete test of a cell, or the failure (cell NULL or without a test), to stdout. */
int iperf_json_print(const struct iperf_cell *cell, const struct err *failure,
		     struct err *e) ERR_MUST_CHECK;

/* Events of --json-stream: each one line. The first two are called by the thread of the test. */
void iperf_json_stream_start(void *ctx, const struct iperf_report *r);
void iperf_json_stream_interval(void *ctx, const struct iperf_row *rows, unsigned n);
void iperf_json_stream_end(const struct iperf_cell *cell);
void iperf_json_stream_error(const struct err *failure);
