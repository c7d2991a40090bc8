/* What this machine's CPU reaches at most. Internal to engine/cpu. */
#ifndef DMS_CPU_RATES_H
#define DMS_CPU_RATES_H

#include "engine/cpu/threads.h"

#include <glib.h>

/* f32 multiply-adds a second of all threads together, measured for a few tenths of a second. */
double dms_cpu_multiply_rate(DmsThreads *threads);
/* Bytes a second that all threads together read from arrays of `bytes` each. DMS_ERROR_MEMORY when there is no room for
 * them. */
gboolean dms_cpu_read_rate(DmsThreads *threads, gsize bytes, double *rate, GError **error);

#endif
