/* facts - in words: what was measured where, what went wrong, what should be known */
#pragma once

#include "picture/study.h"

/* As HTML; failure is out->failed. */
/* What needs to be seen first: measurements that failed, checks that failed, a noisy machine. */
void facts_alarms(const struct study *s, struct buf *out);
/* Findings, failures by kind, warnings. */
void facts_notes(const struct study *s, struct buf *out);
/* Command, time, targets, machine, configuration of each file. */
void facts_files(const struct study *s, struct buf *out);

/* "Linux 6.1 on x86_64 (AMD EPYC, 2 CPUs, a virtual machine)...": a sentence of plain text from outside, not escaped. */
void facts_machine(const json_t *root, struct buf *out);
/* "noisy: other processes took 70 % of the CPU time" */
void facts_noise(const json_t *root, struct buf *out);
/* "10 runs of 12 cases on 2 targets, 2026-01-01 12:00" */
void facts_extent(const json_t *root, struct buf *out);
