/* paper - the report as text: Markdown, and for a terminal */
#pragma once

#include "picture/study.h"
#include "result/table.h"

/* For summaries and comments of GitHub and GitLab; at most FORMAT_SUMMARY_MAX bytes. */
int paper_markdown(const struct study *s, struct buf *out, struct err *e) ERR_MUST_CHECK;
/* With one-line histograms and the runs as sparklines; ASCII where the style is not UTF-8. */
int paper_text(const struct study *s, const struct table_style *style, struct buf *out,
	       struct err *e) ERR_MUST_CHECK;
