/* One way of some tokens through the network. Internal to engine/cpu.
 *
 * A pass is either shared by all threads (its loops are cut into tasks, one loop after the other) or one worker's own:
 * then it runs on that worker alone, in activations that stay in its core's cache, while others run theirs. */
#ifndef DMS_CPU_PASS_H
#define DMS_CPU_PASS_H

#include "engine/cpu/network.h"

enum { DMS_SHARED = -1 };

typedef struct {
  DmsNetwork *network;
  const DmsWorkspace *space;
  DmsRun *runs; /* [n_runs] */
  int n_runs, n_rows;
  int worker;                                        /* whose own it is, or DMS_SHARED */
  gsize score_floats;                                /* of a worker's scratch memory, for the scores */
  int run_of[DMS_CPU_ROWS], first_row[DMS_CPU_ROWS]; /* by row; by run */
} DmsPass;

/* Takes the runs through all layers to their logits; space->rows rows at most. */
void dms_pass_run(DmsNetwork *network, const DmsWorkspace *space, DmsRun *runs, int n_runs, int worker);

/* Calls task(context, i, worker) for each i in [0, n). */
void dms_pass_loop(const DmsPass *pass, int n, DmsTask task, void *context);
/* Calls row(pass, argument, i, worker) for each i in [0, n): for what takes well under a microsecond. */
typedef void (*DmsRowFunc)(const DmsPass *pass, const void *argument, int row, int worker);
void dms_pass_rows(const DmsPass *pass, int n, DmsRowFunc row, const void *argument);

#endif
