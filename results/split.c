/* Programs on which LiveCodeBench's runner and a plain process disagree. */
#include "results/store.h"

gboolean results_splits(ResultsStore *store, gint64 run, ResultsSplitFunc func, gpointer user_data, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(sqlite3_stmt) walk = results_db_prepare(
      store, error,
      "SELECT method.name, cr, task.name, problem.name, thread, official, real, detail FROM grade "
      "CROSS JOIN thread ON thread.generation = grade.generation "
      "CROSS JOIN problem ON problem.id = thread.problem AND problem.fingerprint = grade.fingerprint "
      "CROSS JOIN task ON task.id = problem.task AND task.grader = grade.grader "
      "CROSS JOIN method ON method.id = thread.method AND method.run = task.run "
      "WHERE official <> real AND official IN ('correct', 'wrong') AND real IN ('correct', 'wrong') AND task.run = ? "
      "ORDER BY task.id, problem.id, method.id, thread", /* grades first: few of them differ */
      "i", run);
  if (!walk) return FALSE;
  while (results_db_next(store, walk, &ok, error)) {
    ResultsSplit split = {
        .method = results_column_string(walk, 0),
        .cr = sqlite3_column_double(walk, 1),
        .task = results_column_string(walk, 2),
        .problem_id = results_column_string(walk, 3),
        .thread = sqlite3_column_int(walk, 4),
        .official = results_column_string(walk, 5),
        .real = results_column_string(walk, 6),
        .detail = (const char *)sqlite3_column_text(walk, 7),
    };
    func(&split, user_data);
  }
  return ok;
}
