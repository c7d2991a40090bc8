/* Grading texts from elsewhere: JSON lines in, JSON lines out, in the order of the input. */
#ifndef HYPERSCALE_FOREIGN_H
#define HYPERSCALE_FOREIGN_H

#include <stdio.h>

#include "grading/grade.h"

typedef struct {
  const char *task;     /* whose rules apply: "aime24", "gpqa-diamond", "livecodebench", ... */
  const char *problems; /* its rows in the benchmark's own format; NULL: where the task's data is */
  const char *mode;     /* GPQA: "chain", "simple-evals"; LiveCodeBench: "official", "real"; NULL: the first */
  GradeProgramOptions programs;
} ForeignOptions;

/* In: {"id", "response", and "gold" or "problem"}. Out: {"id", "outcome", "answer", "rule", "detail"}, for programs
 * also "official" and "real". The task's data is opened when the first row names a problem. Errors name the line;
 * rows before it have been printed. */
gboolean foreign_grade(const char *input, const ForeignOptions *options, FILE *out, guint *ungraded, GError **error);

#endif
