#include "rank.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

const char *rank_find(const char **variable)
{
	static const char *const names[] = {
		"OMPI_COMM_WORLD_RANK",
		"PMI_RANK",
		"PMIX_RANK",
		"SLURM_PROCID",
		"SLURM_ARRAY_TASK_ID",
		"JOB_COMPLETION_INDEX",
		"NOMAD_ALLOC_INDEX",
		"PBS_ARRAY_INDEX",
		"SGE_TASK_ID",
		"LSB_JOBINDEX",
		"AWS_BATCH_JOB_ARRAY_INDEX",
		"PARALLEL_SEQ",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value && value[strspn(value, "0123456789")] == '\0') {
			*variable = names[i];
			return value;
		}
	}
	return NULL;
}

static int add_rank(struct buf *b, const char *path, struct err *e)
{
	const char *variable, *rank = rank_find(&variable);

	if (!rank)
		return err_set(
			e, ERR_USAGE, "rank",
			"-o %s: %%r is the rank that a launcher gives (Open MPI, MPICH, Slurm, "
			"job arrays, GNU parallel), and none has given one",
			path);
	return buf_adds(b, rank) < 0 ? err_nomem(e) : 0;
}

int rank_expand(const char *path, char **out, struct err *e)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT;

	for (const char *p = path; *p; p++) {
		if (*p != '%') {
			buf_addc(&b, *p);
			continue;
		}
		p++;
		if (*p == '%')
			buf_addc(&b, '%');
		else if (*p != 'r')
			return err_set(e, ERR_USAGE, "output",
				       "-o %s: only %%r (the rank) and %%%% are known", path);
		else if (add_rank(&b, path, e) < 0)
			return -1;
	}
	if (b.failed)
		return err_nomem(e);
	*out = b.len ? buf_take(&b) : strdup("");
	return *out ? 0 : err_nomem(e);
}
