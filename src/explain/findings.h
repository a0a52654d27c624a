/* findings - what the numbers point at: causes with evidence and remedy */
#pragma once

#include "result/document.h"

/*
 * Reads the benchmarks and targets of a document (of this run or of a file) and adds findings[]. Latency clusters at the
 * signatures of known causes are named, each with the share of the samples that lie there:
 *   delayed-ack     38..47 ms: Nagle's algorithm meets a delayed acknowledgement (TCP targets)
 *   chardelay       3.2..3.9 ms, or twice that: ser2net waits for more characters (TCP targets)
 *   sleep-10ms      9.9..11.9 ms, or twice that (raw-paste is two exchanges): a loop that sleeps 10 ms when it finds nothing
 *   sleep-50ms      49.5..54 ms, or a multiple while opening: a loop that sleeps 50 ms
 *   latency-timer   15.2..17.5 ms: an FTDI adapter's latency timer (or its sysfs value, when that is above 1)
 *   dead-time       the wait when reconnecting falls by as much as the gap grows: the server is deaf after a session
 *   memory-leak     free memory of the device falls from run to run
 * Waits that this client imitates (client_style other than native) are named "imitated" instead of blamed on the target.
 * Works on repl.* benchmarks.
 */
int findings_add(struct document *d, struct err *e) ERR_MUST_CHECK;
