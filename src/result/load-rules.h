/* load-rules - the rules of the parts of a result document */
#pragma once

#include "result/check.h"

int check_benchmarks(struct where *w, const json_t *v);
