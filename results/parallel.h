/* A loop over all processors. */
#ifndef HYPERSCALE_RESULTS_PARALLEL_H
#define HYPERSCALE_RESULTS_PARALLEL_H

#include <glib.h>

/* Calls func(i, data) for i = 0 .. n-1, in any order and several at once, and returns when all have returned. */
void results_parallel(guint n, void (*func)(guint i, gpointer data), gpointer data);

#endif
