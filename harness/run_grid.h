/* How a run's plan wants its threads judged: the budgets, the rule for ties of a vote, the seed of the resamples. */
#ifndef HYPERSCALE_HARNESS_RUN_GRID_H
#define HYPERSCALE_HARNESS_RUN_GRID_H

#include "harness/plan.h"
#include "results/results.h"

typedef struct {
  ResultsGrid grid; /* borrows from the rest */
  Plan *plan;
  GArray *lengths; /* int */
} RunGrid;

/* Of a stored run, NULL: the newest. Everything is unset where this version cannot read the run's plan. FALSE when
 * there is no such run. */
gboolean run_grid_open(RunGrid *grid, ResultsStore *store, const char *run, GError **error);
void run_grid_clear(RunGrid *grid);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RunGrid, run_grid_clear)
/* Of a plan; `lengths` (int) is filled and has to outlive the grid. */
ResultsGrid run_grid_of_plan(const Plan *plan, GArray *lengths);

#endif
