/* From the threads of one problem to its cells. */
#ifndef HYPERSCALE_RESULTS_PROBLEM_H
#define HYPERSCALE_RESULTS_PROBLEM_H

#include "results/cells.h"
#include "results/trace.h"
#include "results/vote.h"

/* A thread as the store has it. */
typedef struct {
  int n_tokens;
  int share;        /* SHARE_...: its outcome where it is not cut */
  gboolean stopped; /* by itself; else it was cut at n_tokens */
  double seconds_prefill, seconds_decode, seconds_device;
  char *answer; /* or NULL */
  GBytes *trace;
} ResultsThreadRow;

typedef struct {
  guint problem; /* its number in the cells */
  int prompt_length;
  GArray *threads; /* ResultsThreadRow, by number */
} ResultsProblemRows;

/* What all problems of one method and task have in common. */
typedef struct {
  const ResultsCells *cells;
  guint slot;                    /* the method's */
  int longest;                   /* L that the task was run for */
  const char *grader;            /* of the task */
  ResultsSameAnswer same_answer; /* or NULL */
  double scale;                  /* from the sum over layers and KV heads to the mean */
  uint64_t seed;
} ResultsReading;

/* What a processor needs for one problem after the other. */
typedef struct {
  ResultsDecoder *decoder;
  ResultsVoter *voter;
} ResultsTools;

/* Writes the problem's cells and adds its threads' outcomes to share [n_lengths, SHARES]. RESULTS_ERROR_CORRUPT when a
 * trace is damaged. */
gboolean results_fill_problem(const ResultsReading *reading, const ResultsProblemRows *rows, ResultsTools *tools,
                              double *share, GError **error);

#endif
