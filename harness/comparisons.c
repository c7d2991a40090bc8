/* Methods of a run side by side, as far as there is time for it. */
#include "harness/comparisons.h"

#define MOST_READ 300000 /* threads times the comparisons that they are read for: a few seconds */

GPtrArray *comparisons_collect(ResultsStore *store, const ResultsSummary *summary, GError **error) {
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  g_autoptr(GPtrArray) compared = g_ptr_array_new_with_free_func((GDestroyNotify)results_comparison_free);
  gint64 threads = 0;
  for (guint t = 0; t < summary->n_tasks; t++) threads += summary->task[t].threads_done;
  for (guint m = 0; m < summary->n_methods; m++)
    if (!g_ptr_array_find_with_equal_func(names, summary->method[m].name, g_str_equal, NULL))
      g_ptr_array_add(names, (gpointer)summary->method[m].name);
  if (threads == 0 || names->len < 2 || threads * (names->len - 1) > MOST_READ) return g_steal_pointer(&compared);
  for (guint a = 1; a < names->len; a++)
    for (guint b = 0; b < a; b++) {
      ResultsSide side_a = {store, summary->info.name, names->pdata[a]}, side_b = side_a;
      side_b.method = names->pdata[b];
      ResultsComparison *comparison = results_compare(&side_a, &side_b, &(ResultsGrid){0}, FALSE, error);
      if (!comparison) return NULL;
      g_ptr_array_add(compared, comparison);
    }
  return g_steal_pointer(&compared);
}
