/* The formats of a report by name. */
#include "reports/report.h"

#include <string.h>

#include "reports/data.h"
#include "reports/page.h"
#include "reports/pdf.h"
#include "reports/svg.h"
#include "reports/tables.h"
#include "reports/warnings.h"

GQuark report_error_quark(void) {
  return g_quark_from_static_string("report-error-quark");
}

/* Moves those of `n` items of `size` bytes whose task is `task` to the front; `at`: where in an item its task's name
 * is. How many. */
static guint keep_task(gpointer items, guint n, gsize size, gsize at, const char *task) {
  guint kept = 0;
  for (guint i = 0; i < n; i++) {
    char *item = (char *)items + i * size;
    const char *name = *(const char **)(gpointer)(item + at);
    if (strcmp(name, task) == 0) memmove((char *)items + kept++ * size, item, size);
  }
  return kept;
}

gboolean report_select_task(ResultsSummary *summary, const char *task, GError **error) {
  g_autoptr(GString) known = g_string_new(NULL);
  gboolean found = FALSE;
  for (guint i = 0; i < summary->n_tasks; i++) {
    found |= strcmp(summary->task[i].name, task) == 0;
    g_string_append_printf(known, "%s%s", i ? ", " : "", summary->task[i].name);
  }
  if (!found) {
    g_set_error(error, REPORT_ERROR, REPORT_ERROR_FORMAT, "the run \"%s\" has no task \"%s\": there are %s",
                summary->info.name, task, known->len ? known->str : "none");
    return FALSE;
  }
  summary->n_points =
      keep_task(summary->point, summary->n_points, sizeof *summary->point, offsetof(ResultsPoint, task), task);
  summary->n_frontier = keep_task(summary->frontier, summary->n_frontier, sizeof *summary->frontier,
                                  offsetof(ResultsFrontierPoint, task), task);
  summary->n_margins =
      keep_task(summary->margin, summary->n_margins, sizeof *summary->margin, offsetof(ResultsMargin, task), task);
  summary->n_tasks =
      keep_task(summary->task, summary->n_tasks, sizeof *summary->task, offsetof(ResultsTaskInfo, name), task);
  return TRUE;
}

static gboolean write_svg(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                          GString *out, GError **error) {
  const FigureCost *cost = report_figure_cost(options->cost, error);
  if (!cost) return FALSE;
  g_autoptr(GPtrArray) figures = g_ptr_array_new_with_free_func((GDestroyNotify)report_figure_free);
  for (guint i = 0; i < summary->n_tasks; i++)
    g_ptr_array_add(figures, report_figure_new(summary, summary->task[i].name, cost));
  g_autofree char *name = report_title(summary), *title = g_strdup_printf("%s: accuracy against %s", name, cost->title);
  report_svg_file(out, (Figure *const *)figures->pdata, figures->len, title);
  return TRUE;
}

static gboolean write_pdf(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                          GString *out, GError **error) {
  g_autoptr(GString) svg = g_string_new(NULL);
  return write_svg(summary, store, options, svg, error) && report_pdf_from_svg(svg->str, out, error);
}

typedef gboolean (*Writer)(const ResultsSummary *, ResultsStore *, const ReportOptions *, GString *, GError **);
static const struct {
  const char *format;
  Writer write;
} writers[] = {
    {"html", report_page_write},
    {"svg", write_svg},
    {"pdf", write_pdf},
    {"md", report_tables_markdown},
    {"tex", report_tables_tex},
    {"csv", report_tables_csv},
    {"vega-lite", report_data_vega_lite},
    {"lm-eval", report_data_lm_eval},
    {"every-eval-ever", report_data_every_eval_ever},
    {"json", report_data_json},
};

gboolean report_write(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options, GString *out,
                      GError **error) {
  g_autoptr(GString) known = g_string_new(NULL);
  for (guint i = 0; i < G_N_ELEMENTS(writers); i++) {
    if (strcmp(writers[i].format, options->format) == 0) return writers[i].write(summary, store, options, out, error);
    g_string_append_printf(known, "%s%s", i ? ", " : "", writers[i].format);
  }
  g_set_error(error, REPORT_ERROR, REPORT_ERROR_FORMAT, "no report format \"%s\": there are %s", options->format,
              known->str);
  return FALSE;
}
