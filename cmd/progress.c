#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "term.h"

static const uint64_t redraw_ns = 250 * NS_PER_MS;

/* By what was done so far, once that says something; by the engine's estimate before. */
static uint64_t left_ns(const struct engine_progress *e, uint64_t elapsed_ns, uint64_t estimate_ns)
{
	double share = e->steps ? (double)e->step / (double)e->steps : 0;

	if (share >= 0.1)
		return (uint64_t)((double)elapsed_ns * (1 - share) / share);
	return ns_since(elapsed_ns, estimate_ns);
}

static unsigned whole_seconds(uint64_t ns)
{
	return (unsigned)((ns + NS_PER_SEC - 1) / NS_PER_SEC);
}

void progress_text(const struct engine_progress *e, uint64_t elapsed_ns, uint64_t estimate_ns,
		   unsigned width, char out[PROGRESS_LINE_MAX])
{
	size_t max = width && width < PROGRESS_LINE_MAX ? width : PROGRESS_LINE_MAX;

	if (e->event == ENGINE_ESTIMATE || !e->now) {
		snprintf(out, max, "about %u s in all", whole_seconds(estimate_ns));
		return;
	}
	snprintf(out, max, "%zu/%zu  %s on %s, run %u of %u, about %u s left", e->step, e->steps,
		 e->now->name, e->now->target, e->run + 1, e->runs,
		 whole_seconds(left_ns(e, elapsed_ns, estimate_ns)));
}

void progress_begin(struct progress *p, bool quiet)
{
	*p = (struct progress){ .on = !quiet && isatty(STDERR_FILENO) && term_can_redraw(),
				.width = term_width(STDERR_FILENO),
				.started_ns = clock_now() };
}

void progress_event(void *ctx, const struct engine_progress *event)
{
	struct progress *p = ctx;
	uint64_t now = clock_now();
	char line[PROGRESS_LINE_MAX];

	if (event->event == ENGINE_ESTIMATE)
		p->estimate_ns = event->estimate_ns;
	if (!p->on || event->event == ENGINE_RUN_END || (p->drawn && now - p->last_ns < redraw_ns))
		return;
	progress_text(event, now - p->started_ns, p->estimate_ns, p->width, line);
	fprintf(stderr, "\r\033[K%s", line);
	fflush(stderr);
	p->drawn = true;
	p->last_ns = now;
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\033[K", stderr);
	p->drawn = false;
}
