#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

void mem_free(void *pp)
{
	void **p = pp;

	free(*p);
	*p = NULL;
}
