/* The one file that is rebuilt when only the commit has changed. */
#include "harness/version.h"

const char hyperscale_version[] = VERSION;
