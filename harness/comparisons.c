/* Methods of a run side by side, as far as there is time for it. */
#include "harness/comparisons.h"

#include "harness/run_grid.h"

#define MOST_READ 300000 /* threads times the comparisons that they are read for: a few seconds */

GPtrArray *comparisons_collect(ResultsStore *store, const ResultsSummary *summary, GError **error) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  g_autoptr(GPtrArray) compared = g_ptr_array_new_with_free_func((GDestroyNotify)results_comparison_free);
  g_autoptr(GArray) lengths = g_array_new(FALSE, FALSE, sizeof(int)), threads = g_array_new(FALSE, FALSE, sizeof(int));
  gint64 n = 0;
  for (guint t = 0; t < summary->n_tasks; t++) n += summary->task[t].threads_done;
  for (guint m = 0; m < summary->n_methods; m++)
    if (!g_ptr_array_find_with_equal_func(names, summary->method[m].name, g_str_equal, NULL))
      g_ptr_array_add(names, (gpointer)summary->method[m].name);
  if (!summary->n_points || names->len < 2 || n * (names->len - 1) > MOST_READ) return g_steal_pointer(&compared);
  for (guint i = 0; i < summary->n_points; i++) {
    g_array_append_val(lengths, summary->point[i].length);
    g_array_append_val(threads, summary->point[i].threads);
  }
  g_auto(RunGrid) plan = {0};
  if (!run_grid_open(&plan, store, summary->info.name, error)) return NULL;
  const ResultsGrid grid = {.ties = plan.grid.ties,
                            .same_answer = plan.grid.same_answer,
                            .seed = plan.grid.seed,
                            .lengths = (int *)lengths->data,
                            .n_lengths = (int)lengths->len,
                            .threads = (int *)threads->data,
                            .n_threads = (int)threads->len};
  for (guint a = 1; a < names->len; a++)
    for (guint b = 0; b < a; b++) {
      ResultsSide side_a = {store, summary->info.name, names->pdata[a]}, side_b = side_a;
      side_b.method = names->pdata[b];
      ResultsComparison *comparison = results_compare(&side_a, &side_b, &grid, FALSE, error);
      if (!comparison) return NULL;
      g_ptr_array_add(compared, comparison);
    }
  return g_steal_pointer(&compared);
}
