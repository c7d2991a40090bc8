/* A method of a plan, opened: its model found and checked, and every problem put to it as that model is asked. No
 * weight is read for it. */
#ifndef HYPERSCALE_METHOD_H
#define HYPERSCALE_METHOD_H

#include "harness/shard.h"
#include "harness/task.h"
#include "results/results.h"

/* One problem as one model is asked it. */
typedef struct {
  Task *task;
  guint index;    /* in the data set */
  GArray *prompt; /* int32_t ids */
  char *rendered;
  gint64 id; /* in the store */
  guint threads_left;
} Question;

typedef struct {
  const PlanMethod *plan;
  char *dir, *fingerprint, *policy; /* `fingerprint` NULL until the run begins: it reads the weights */
  DmsModelInfo info;
  ResultsMethod stored;
  gint64 id;            /* in the store */
  GPtrArray *questions; /* Question * */
} Method;

/* Opens the methods of a plan over its opened tasks, with the questions of this shard. What is not on this machine is
 * added to `missing` (char *) and left out of the result; any other fault is an error that names the method, and so are
 * two methods of one name and ratio, which no table could tell apart. Elements are Method *; free with
 * g_ptr_array_unref(). */
GPtrArray *methods_open(const Plan *plan, const GPtrArray *tasks, const Shard *shard, DmsDevice device,
                        GPtrArray *missing, GError **error);

/* Its nominal compression ratio: the plan's, else the checkpoint's, else 1. */
double method_cr(const Method *method);

#endif
