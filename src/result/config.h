/* config - the effective options as part of the document */
#pragma once

#include "base/opt.h"
#include "result/json.h"

/*
 * {what: {...}, how: {...}, out: {...}}: one key per option row, '-' written as '_', the unit as a suffix (timeout_ns,
 * size_bytes, rate_per_second). Values above 2^53 - 1 (by which tables say "automatic") and options that were not given
 * are null; enums are the chosen word; lists are arrays; credentials in texts are masked. A new reference.
 */
json_t *config_make(const struct opt *table, const void *options, struct err *e);
