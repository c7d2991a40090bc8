/* Keeps what results_surface() derives in the tables behind the views. */
#include "results/store.h"

static gboolean forget(ResultsStore *store, gint64 run, GError **error) {
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
            "INSERT INTO point (task, method, length, threads, accuracy, accuracy_se, accuracy_se_threads, low, high, "
            "subset_error, reads, peak, peak_error, tokens, bytes, seconds, throughput, realised_cr, problems, "
            "correct, wrong, "
            "no_answer, truncated, errors, ungraded, derived) SELECT task.id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "?, ?, ?, "
            "?, ?, ?, ?, ?, ?, ?, ?, ? FROM task WHERE run = ? AND name = ?",
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
  ResultsSummary *summary = results_surface(store, (const char *)sqlite3_column_text(name, 0), grid, error);
  gboolean ok = summary && forget(store, run, error) && put_points(store, summary, error) &&
                put_frontiers(store, summary, error) && put_margins(store, summary, error);
  results_summary_free(summary);
  return ok;
}

gboolean results_derive(ResultsStore *store, gint64 run, const ResultsGrid *grid, GError **error) {
  if (!results_db_enter(store, error)) return FALSE;
  return results_db_leave(store, derive(store, run, grid, error), error);
}
