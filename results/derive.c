/* What a run's threads make of every budget of a grid: on the spot, or kept in the tables behind the views. */
#include <math.h>

#include "results/run.h"
#include "results/store.h"
#include "results/summary.h"
#include "results/surface.h"

static gboolean derive_task(ResultsStore *store, const ResultsSummary *summary, const ResultsTaskInfo *task,
                            const ResultsGrid *grid, ResultsDerived *derived, GError **error) {
  GPtrArray *problems = results_problem_names(store, summary->run, task->name, error);
  if (!problems) return FALSE;
  g_autoptr(ResultsCells) cells = results_cells_new(problems, grid, summary->n_methods, error);
  if (!cells) return FALSE;
  for (guint m = 0; m < summary->n_methods; m++)
    if (!results_cells_read(cells, store, summary->run, task, &summary->method[m], m, grid, error)) return FALSE;
  results_surface_of_cells(cells, summary->method, task, grid, derived);
  return TRUE;
}

/* Lengths evenly spaced in log2 up to the longest thread, threads up to the most that a problem has. */
static gboolean fill_grid(ResultsStore *store, const ResultsSummary *summary, ResultsGrid *grid, GArray *lengths,
                          GArray *threads, GError **error) {
  gint64 longest = 0, most = 0;
  int before = 0;
  if (!results_db_integer(store, &longest, error,
                          "SELECT max(n_tokens) FROM method JOIN thread ON thread.method = method.id "
                          "JOIN generation ON generation.id = thread.generation WHERE method.run = ?",
                          "i", summary->run) ||
      !results_db_integer(
          store, &most, error,
          "SELECT max(n) FROM (SELECT count(*) AS n FROM method JOIN thread ON thread.method = method.id "
          "WHERE method.run = ? GROUP BY method.id, problem)",
          "i", summary->run))
    return FALSE;
  for (int step = 0; step < 32 && longest > 0; step++) {
    int length = (int)lround((double)MIN(longest, G_MAXINT) * exp2((step - 31) / 4.0));
    if (length > before) g_array_append_val(lengths, length);
    before = MAX(before, length);
  }
  for (int w = 1; w <= most; w++) g_array_append_val(threads, w);
  if (!grid->lengths) grid->lengths = (const int *)lengths->data, grid->n_lengths = (int)lengths->len;
  if (!grid->threads) grid->threads = (const int *)threads->data, grid->n_threads = (int)threads->len;
  return TRUE;
}

static gboolean derive_run(ResultsStore *store, ResultsSummary *summary, const ResultsGrid *grid, GError **error) {
  g_autoptr(GArray) lengths = g_array_new(FALSE, FALSE, sizeof(int)), threads = g_array_new(FALSE, FALSE, sizeof(int));
  ResultsGrid filled = *grid;
  if ((!grid->lengths || !grid->threads) && !fill_grid(store, summary, &filled, lengths, threads, error)) return FALSE;
  ResultsDerived derived = {.points = g_array_new(FALSE, FALSE, sizeof(ResultsPoint)),
                            .frontiers = g_array_new(FALSE, FALSE, sizeof(ResultsFrontierPoint)),
                            .margins = g_array_new(FALSE, FALSE, sizeof(ResultsMargin))};
  gboolean ok = TRUE;
  for (guint t = 0; ok && t < summary->n_tasks; t++)
    ok = derive_task(store, summary, &summary->task[t], &filled, &derived, error);
  summary->n_points = derived.points->len;
  summary->n_frontier = derived.frontiers->len;
  summary->n_margins = derived.margins->len;
  summary->point = (ResultsPoint *)g_array_free(derived.points, FALSE);
  summary->frontier = (ResultsFrontierPoint *)g_array_free(derived.frontiers, FALSE);
  summary->margin = (ResultsMargin *)g_array_free(derived.margins, FALSE);
  return ok;
}

ResultsSummary *results_surface(ResultsStore *store, const char *run, const ResultsGrid *grid, GError **error) {
  gboolean began;
  if (!results_db_snapshot(store, &began, error)) return NULL;
  ResultsSummary *summary = results_summary_begin(store, run, error);
  if (summary && !derive_run(store, summary, grid, error)) g_clear_pointer(&summary, results_summary_free);
  results_db_snapshot_end(store, began);
  return summary;
}

/* ---- Keeping it -------------------------------------------------------------------------------------------------- */

gboolean results_forget_derived(ResultsStore *store, gint64 run, GError **error) {
  return results_db_run(store, error, "DELETE FROM point WHERE task IN (SELECT id FROM task WHERE run = ?)", "i",
                        run) &&
         results_db_run(store, error, "DELETE FROM frontier_point WHERE task IN (SELECT id FROM task WHERE run = ?)",
                        "i", run) &&
         results_db_run(store, error, "DELETE FROM margin WHERE task IN (SELECT id FROM task WHERE run = ?)", "i", run);
}

static gboolean put_points(ResultsStore *store, const ResultsSummary *summary, GError **error) {
  for (guint i = 0; i < summary->n_points; i++) {
    const ResultsPoint *p = &summary->point[i];
    if (!results_db_run(
            store, error,
            "INSERT INTO point (task, method, length, threads, accuracy, accuracy_se, accuracy_se_threads, low, "
            "high, subset_error, reads, peak, peak_error, tokens, bytes, seconds, throughput, realised_cr, problems, "
            "correct, wrong, no_answer, truncated, errors, ungraded, derived) "
            "SELECT task.id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM task "
            "WHERE run = ? AND name = ?",
            "innddddddddddddddnddddddnis", p->method_id, p->length, p->threads, p->accuracy, p->accuracy_se,
            p->accuracy_se_threads, p->low, p->high, p->subset_error, p->reads, p->peak, p->peak_error, p->tokens,
            p->bytes, p->seconds, p->throughput, p->realised_cr, p->problems, p->correct, p->wrong, p->no_answer,
            p->truncated, p->errors, p->ungraded, p->derived, summary->run, p->task))
      return FALSE;
  }
  return TRUE;
}

static gboolean put_frontiers(ResultsStore *store, const ResultsSummary *summary, GError **error) {
  for (guint i = 0; i < summary->n_frontier; i++) {
    const ResultsFrontierPoint *p = &summary->frontier[i];
    if (!results_db_run(store, error,
                        "INSERT INTO frontier_point (task, name, cost, x, accuracy, low, high, cr, length, threads) "
                        "SELECT task.id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM task WHERE run = ? AND name = ?",
                        "ssdddddnnis", p->method, p->cost, p->x, p->accuracy, p->low, p->high, p->cr, p->length,
                        p->threads, summary->run, p->task))
      return FALSE;
  }
  return TRUE;
}

static gboolean put_margins(ResultsStore *store, const ResultsSummary *summary, GError **error) {
  for (guint i = 0; i < summary->n_margins; i++) {
    const ResultsMargin *m = &summary->margin[i];
    if (!results_db_run(
            store, error,
            "INSERT INTO margin (task, cost, scale, method_a, method_b, margin, se, low, high, x_low, x_high) "
            "SELECT task.id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM task WHERE run = ? AND name = ?",
            "ssssddddddis", m->cost, m->scale, m->method_a, m->method_b, m->margin, m->se, m->low, m->high, m->x_low,
            m->x_high, summary->run, m->task))
      return FALSE;
  }
  return TRUE;
}

static gboolean derive(ResultsStore *store, gint64 run, const ResultsGrid *grid, GError **error) {
  gboolean row;
  g_autoptr(sqlite3_stmt) name = results_db_prepare(store, error, "SELECT name FROM run WHERE id = ?", "i", run);
  if (!name || !results_db_step(store, name, &row, error)) return FALSE;
  if (!row) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING, "%s: there is no run %" G_GINT64_FORMAT, store->path, run);
    return FALSE;
  }
  ResultsSummary *summary = results_surface(store, results_column_string(name, 0), grid, error);
  gboolean ok = summary && results_forget_derived(store, run, error) && put_points(store, summary, error) &&
                put_frontiers(store, summary, error) && put_margins(store, summary, error);
  results_summary_free(summary);
  return ok;
}

gboolean results_derive(ResultsStore *store, gint64 run, const ResultsGrid *grid, GError **error) {
  if (!results_db_enter(store, error)) return FALSE;
  return results_db_leave(store, derive(store, run, grid, error), error);
}
