/* format - a report as other tools read it */
#pragma once

#include "result/report.h"

/*
 * table         for people (report_table); of a single result: see table.h
 * markdown      for summaries and comments of GitHub and GitLab; at most FORMAT_SUMMARY_MAX bytes
 * github        workflow commands (::error ...), at most FORMAT_ANNOTATIONS_MAX of each kind
 * junit         XML, a test case for each metric that gates and each check
 * openmetrics   text with "# EOF", base units, numbers of 4 digits (GitLab compares them as strings)
 * prom          the same for node_exporter's textfile collector: no "# EOF", no time stamps
 * csv           RFC 4180, all rows, full precision
 * influx        line protocol, without time stamps
 * bmf           Bencher metric format
 * gab           github-action-benchmark, metrics of one direction only
 * lava          NAME RESULT VALUE UNIT, one line each
 */
enum format {
	FORMAT_TABLE,
	FORMAT_MARKDOWN,
	FORMAT_GITHUB,
	FORMAT_JUNIT,
	FORMAT_OPENMETRICS,
	FORMAT_PROM,
	FORMAT_CSV,
	FORMAT_INFLUX,
	FORMAT_BMF,
	FORMAT_GAB,
	FORMAT_LAVA
};
extern const char *const format_names[];

enum {
	FORMAT_SUMMARY_MAX = 1000 * 1024, /* GitHub drops a step summary beyond 1024 KiB */
	FORMAT_ANNOTATIONS_MAX = 10	  /* a kind and step */
};

struct format_options {
	enum format format;	/* not FORMAT_TABLE */
	enum better gab_better; /* which direction gab holds */
};

int format_report(const struct report *r, const struct format_options *o, struct buf *out,
		  struct err *e) ERR_MUST_CHECK;

/* One each; adders mark out->failed. */
void format_markdown(const struct report *r, struct buf *out);
void format_github(const struct report *r, struct buf *out);
void format_junit(const struct report *r, struct buf *out);
int format_openmetrics(const struct report *r, bool eof, struct buf *out,
		       struct err *e) ERR_MUST_CHECK;
void format_csv(const struct report *r, struct buf *out);
void format_influx(const struct report *r, struct buf *out);
void format_lava(const struct report *r, struct buf *out);
json_t *format_bmf(const struct report *r, struct err *e);
json_t *format_gab(const struct report *r, enum better better, struct err *e);
