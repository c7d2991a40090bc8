/* What another version of a grader made of the same texts. */
#include "results/store.h"

gboolean results_regrades(ResultsStore *store, gint64 run, ResultsRegradeFunc func, gpointer user_data,
                          GError **error) {
  gboolean ok = TRUE;
  g_autoptr(sqlite3_stmt) walk = results_db_prepare(
      store, error,
      "SELECT method, cr, task, problem, thread, grader_before, outcome_before, answer_before, grader_after, "
      "outcome_after, answer_after FROM regrades WHERE run = (SELECT name FROM run WHERE id = ?) "
      "AND (outcome_before <> outcome_after OR answer_before IS NOT answer_after)",
      "i", run);
  if (!walk) return FALSE;
  while (results_db_next(store, walk, &ok, error)) {
    ResultsRegrade regrade = {
        .method = results_column_string(walk, 0),
        .cr = sqlite3_column_double(walk, 1),
        .task = results_column_string(walk, 2),
        .problem_id = results_column_string(walk, 3),
        .thread = sqlite3_column_int(walk, 4),
        .grader_before = results_column_string(walk, 5),
        .outcome_before = results_column_string(walk, 6),
        .answer_before = (const char *)sqlite3_column_text(walk, 7),
        .grader_after = results_column_string(walk, 8),
        .outcome_after = results_column_string(walk, 9),
        .answer_after = (const char *)sqlite3_column_text(walk, 10),
    };
    func(&regrade, user_data);
  }
  return ok;
}
