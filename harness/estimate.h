/* What a run would cost, from the plan and the models' shapes alone. */
#ifndef HYPERSCALE_ESTIMATE_H
#define HYPERSCALE_ESTIMATE_H

#include "harness/method.h"
#include "harness/runner.h"

/* Prints on stdout, as a table or as JSON, what `methods` (Method *) would generate, read and hold with `threads`
 * threads a problem if none ended before its length; a DMS model is taken to compress by its nominal ratio. */
void estimate_print(const GPtrArray *methods, const RunOptions *options, int threads, gboolean json);

#endif
