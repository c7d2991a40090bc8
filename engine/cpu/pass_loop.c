/* The loops of a pass: shared out among the threads, or run by the worker whose own it is. */
#include "engine/cpu/pass.h"

void dms_pass_loop(const DmsPass *pass, int n, DmsTask task, void *context) {
  if (pass->worker == DMS_SHARED)
    dms_threads_run(pass->network->threads, n, task, context);
  else
    for (int i = 0; i < n; i++) task(context, i, pass->worker);
}

enum { ROWS_EACH = 8 }; /* rows of a task */

typedef struct {
  const DmsPass *pass;
  DmsRowFunc row;
  const void *argument;
  int n;
} RowLoop;

static void some_rows(void *context, int i, int worker) {
  const RowLoop *loop = context;
  for (int row = i * ROWS_EACH; row < MIN(loop->n, (i + 1) * ROWS_EACH); row++)
    loop->row(loop->pass, loop->argument, row, worker);
}

void dms_pass_rows(const DmsPass *pass, int n, DmsRowFunc row, const void *argument) {
  RowLoop loop = {pass, row, argument, n};
  dms_pass_loop(pass, (n + ROWS_EACH - 1) / ROWS_EACH, some_rows, &loop);
}
