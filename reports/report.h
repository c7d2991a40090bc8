/* Reports of a run: HTML, SVG, Markdown, LaTeX, CSV, the terminal; the paper's published numbers.
 *
 * Everything shown comes from a ResultsSummary; every text of a model or a data set is escaped. Output is
 * deterministic: the same store gives the same bytes. */
#ifndef HYPERSCALE_REPORT_H
#define HYPERSCALE_REPORT_H

#include "results/results.h"

G_BEGIN_DECLS

#define REPORT_ERROR (report_error_quark())
GQuark report_error_quark(void);
typedef enum { REPORT_ERROR_FORMAT, REPORT_ERROR_WRITE } ReportError;

/* What the cache of a thread holds when it ends, for the picture of evictions: the flags of the engine's forward
 * pass over prompt and completion. */
typedef struct {
  const char *method, *task, *problem_id;
  double cr;
  int thread;
  int layers, kv_heads;
  int tokens;           /* of prompt and completion, at least 1 */
  int prompt_length;    /* tokens */
  int window;           /* the last window + 1 tokens are held whatever their flag */
  const uint8_t *flags; /* [layers][kv_heads][tokens]; not 0: dropped once it has left the window */
} ReportEviction;

typedef struct {
  /* "html", "svg", "pdf", "md", "tex", "csv", "vega-lite", "lm-eval", "every-eval-ever", "json" */
  const char *format;
  const char *cost; /* svg, pdf, vega-lite: "reads" (NULL too), "peak", ... */
  gboolean paper;   /* html, md, tex: the published numbers beside ours */
  gboolean texts;   /* html: the thread browser, with what the models wrote, from a documented sample of the threads */
  /* html: how many problems of each task it shows, and threads of each under every method; 0: 6 and 2 */
  int sample_problems, sample_threads;
  const ReportEviction *evictions; /* html: [n_evictions] */
  guint n_evictions;
  const ResultsComparison *const *comparisons; /* html: [n_comparisons], of methods of this run */
  guint n_comparisons;
} ReportOptions;

/* Leaves one task of a summary, so that a report is of it alone. REPORT_ERROR_FORMAT lists the tasks when there is
 * no such one. */
gboolean report_select_task(ResultsSummary *summary, const char *task, GError **error);
/* Appends the report to `out`. HTML reads texts and moved verdicts from `store` (NULL:
 * neither). REPORT_ERROR_FORMAT for a format,
 * task or cost that there is not, REPORT_ERROR_WRITE when PDF could not be made, the store's errors; `out` then
 * holds no use. */
gboolean report_write(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options, GString *out,
                      GError **error);
/* What a terminal of `width` columns shows: frontiers as a plot in braille dots and a table, margins, outcomes.
 * `colour`: ANSI colours. */
void report_terminal(const ResultsSummary *summary, int width, gboolean colour, GString *out);

G_END_DECLS

#endif
