/* From a plan to the grid of budgets that results.h computes. */
#include "harness/run_grid.h"

#include "grading/grade.h"

/* Integers and letters have one spelling, formulas have many. */
static gboolean same_answer(const char *grader, const char *a, const char *b) {
  return g_str_has_prefix(grader, "math-") && grade_math_equal(a, b);
}

ResultsGrid run_grid_of_plan(const Plan *plan, GArray *lengths) {
  g_array_append_vals(lengths, plan->lengths, plan->n_lengths);
  for (unsigned t = 0; t < plan->n_tasks; t++)
    g_array_append_vals(lengths, plan->tasks[t].lengths, plan->tasks[t].n_lengths);
  return (ResultsGrid){.lengths = (int *)lengths->data,
                       .n_lengths = (int)lengths->len,
                       .threads = plan->threads,
                       .n_threads = (int)plan->n_threads,
                       .ties = plan->ties,
                       .same_answer = same_answer,
                       .seed = plan->seed};
}

gboolean run_grid_open(RunGrid *grid, ResultsStore *store, const char *run, GError **error) {
  *grid = (RunGrid){.lengths = g_array_new(FALSE, FALSE, sizeof(int)), .grid = {.same_answer = same_answer}};
  g_autofree char *text = results_plan(store, run, error);
  if (!text) return FALSE;
  grid->plan = plan_parse(text, "plan", NULL);
  if (grid->plan) grid->grid = run_grid_of_plan(grid->plan, grid->lengths);
  return TRUE;
}

void run_grid_clear(RunGrid *grid) {
  g_clear_pointer(&grid->plan, plan_free);
  g_clear_pointer(&grid->lengths, g_array_unref);
}
