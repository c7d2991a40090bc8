/* Peak memory of W threads that decode in lockstep and free their cache when done. */
#ifndef HYPERSCALE_RESULTS_PEAK_H
#define HYPERSCALE_RESULTS_PEAK_H

#include <glib.h>
#include <stdint.h>

/* trace[i] [length[i]] is what thread i holds at each step. For every L and W, both ascending, peak[l * n_threads + w]
 * is the largest sum over W threads cut at L, averaged over the subsets of W of the threads whose mask[l * n + i] is
 * set; NAN when those are fewer than W. `variance` [same] is that of the average where subsets were sampled (`state`
 * seeds that), 0 where all were counted. */
void results_peaks(const uint64_t *const *trace, const int *length, int n, const int *lengths, int n_lengths,
                   const int *threads, int n_threads, const gboolean *mask, uint64_t state, double *peak,
                   double *variance);

#endif
