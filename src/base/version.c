#include "base/version.h"

#include "version-gen.h"

const char *version_text(void)
{
	return MPBENCH_VERSION;
}
