/* page - the report as one self-contained HTML file: inline SVG, no script, nothing fetched */
#pragma once

#include "picture/study.h"

/* Everything about the study; ERR_INTERNAL where memory is short. */
int page_html(const struct study *s, struct buf *out, struct err *e) ERR_MUST_CHECK;
/* The style sheet: light, dark, print; colours that a colour-blind eye can tell apart. */
extern const char page_style[];
