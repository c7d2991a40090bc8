/* Which threads a person should read, chosen without reading any. */
#include "results/store.h"

typedef struct {
  char *name;
  guint place;       /* in the task's order */
  double difference; /* between the methods' shares of correct threads, the largest less the smallest */
  gboolean chosen;
} Problem;

static void clear_problem(gpointer data) {
  g_free(((Problem *)data)->name);
}

/* The problems of a task in their order, every tokenizer's row of one counted once. */
static const char problems_sql[] =
    "WITH share (name, id, correct) AS (SELECT problem.name, problem.id, "
    "avg(finish = 'stop' AND coalesce(outcome = 'correct', 0)) FROM task CROSS JOIN problem ON problem.task = task.id "
    "CROSS JOIN thread ON thread.problem = problem.id AND thread.method IN (SELECT id FROM method WHERE run = ?1) "
    "JOIN generation ON generation.id = thread.generation "
    "LEFT JOIN grade ON grade.generation = generation.id AND grade.fingerprint = problem.fingerprint "
    "AND grade.grader = task.grader WHERE task.id = ?2 GROUP BY problem.id, thread.method) "
    "SELECT name, max(correct) - min(correct) FROM share GROUP BY name ORDER BY min(id)";

static GArray *read_problems(ResultsStore *store, gint64 run, gint64 task, GError **error) {
  gboolean ok;
  g_autoptr(GArray) problems = g_array_new(FALSE, FALSE, sizeof(Problem));
  g_array_set_clear_func(problems, clear_problem);
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(store, error, problems_sql, "ii", run, task);
  if (!rows) return NULL;
  while (results_db_next(store, rows, &ok, error)) {
    Problem problem = {g_strdup(results_column_string(rows, 0)), problems->len, sqlite3_column_double(rows, 1), FALSE};
    g_array_append_val(problems, problem);
  }
  return ok ? g_steal_pointer(&problems) : NULL;
}

static int compare_differences(gconstpointer a, gconstpointer b) {
  const Problem *p = *(const Problem *const *)a, *q = *(const Problem *const *)b;
  if (p->difference != q->difference) return p->difference < q->difference ? 1 : -1;
  return (p->place > q->place) - (p->place < q->place);
}

static void choose(GArray *problems, guint wanted) {
  g_autoptr(GPtrArray) order = g_ptr_array_new(), rest = g_ptr_array_new();
  for (guint i = 0; i < problems->len; i++) g_ptr_array_add(order, &g_array_index(problems, Problem, i));
  g_ptr_array_sort(order, compare_differences);
  guint n = MIN(wanted, problems->len), chosen = 0;
  for (; chosen < (n + 1) / 2; chosen++) {
    Problem *problem = order->pdata[chosen];
    if (!(problem->difference > 0)) break;
    problem->chosen = TRUE;
  }
  for (guint i = 0; i < problems->len; i++)
    if (!g_array_index(problems, Problem, i).chosen) g_ptr_array_add(rest, &g_array_index(problems, Problem, i));
  for (guint i = 0; i < n - chosen; i++) ((Problem *)rest->pdata[(gsize)i * rest->len / (n - chosen)])->chosen = TRUE;
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
    g_autoptr(GArray) all = read_problems(store, run, task, error);
    if (!all) return NULL;
    choose(all, (guint)MAX(problems, 0));
    for (guint i = 0; ok && i < all->len; i++)
      if (g_array_index(all, Problem, i).chosen)
        ok = add_threads(store, run, task, name, g_array_index(all, Problem, i).name, threads, sample, error);
  }
  return ok ? g_steal_pointer(&sample) : NULL;
}
