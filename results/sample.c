/* Which threads a person should read, chosen without reading any. */
#include "results/store.h"

/* The names of a task's problems in their order, every tokenizer's row of one counted once. */
static gboolean read_names(ResultsStore *store, gint64 task, GPtrArray *names, GError **error) {
  gboolean ok;
  g_autoptr(sqlite3_stmt) problems = results_db_prepare(
      store, error, "SELECT name FROM problem WHERE task = ? GROUP BY name ORDER BY min(id)", "i", task);
  if (!problems) return FALSE;
  while (results_db_next(store, problems, &ok, error))
    g_ptr_array_add(names, g_strdup(results_column_string(problems, 0)));
  return ok;
}

static gboolean add_threads(ResultsStore *store, gint64 run, gint64 task, const char *name, const char *problem,
                            int threads, GArray *sample, GError **error) {
  gboolean ok;
  g_autoptr(sqlite3_stmt) walk = results_db_prepare(
      store, error,
      "SELECT method, thread FROM thread WHERE method IN (SELECT id FROM method WHERE run = ?) AND problem IN "
      "(SELECT id FROM problem WHERE task = ? AND name = ?) AND thread < ? ORDER BY method, thread",
      "iisn", run, task, problem, threads);
  if (!walk) return FALSE;
  while (results_db_next(store, walk, &ok, error)) {
    ResultsThreadName thread = {sqlite3_column_int64(walk, 0), g_strdup(name), g_strdup(problem),
                                sqlite3_column_int(walk, 1)};
    g_array_append_val(sample, thread);
  }
  return ok;
}

static void clear_name(gpointer data) {
  ResultsThreadName *name = data;
  g_free(name->task);
  g_free(name->problem_id);
}

GArray *results_sample(ResultsStore *store, gint64 run, int problems, int threads, GError **error) {
  gboolean ok = TRUE;
  g_autoptr(GArray) sample = g_array_new(FALSE, FALSE, sizeof(ResultsThreadName));
  g_array_set_clear_func(sample, clear_name);
  g_autoptr(sqlite3_stmt) tasks =
      results_db_prepare(store, error, "SELECT id, name FROM task WHERE run = ? ORDER BY id", "i", run);
  if (!tasks) return NULL;
  while (ok && results_db_next(store, tasks, &ok, error)) {
    gint64 task = sqlite3_column_int64(tasks, 0);
    g_autofree char *name = g_strdup(results_column_string(tasks, 1));
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    ok = read_names(store, task, names, error);
    guint chosen = MIN((guint)MAX(problems, 0), names->len);
    for (guint i = 0; ok && i < chosen; i++)
      ok = add_threads(store, run, task, name, names->pdata[(gsize)i * names->len / chosen], threads, sample, error);
  }
  return ok ? g_steal_pointer(&sample) : NULL;
}
