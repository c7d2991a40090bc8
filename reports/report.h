/* Reports of a run: HTML, SVG, Markdown, LaTeX, CSV, the terminal; the paper's published numbers.
 *
 * Everything shown comes from a ResultsSummary; every text of a model or a data set is escaped. Output is deterministic: the same store
 * gives the same bytes. */
#ifndef HYPERSCALE_REPORT_H
#define HYPERSCALE_REPORT_H

#include "results/results.h"

G_BEGIN_DECLS

#define REPORT_ERROR (report_error_quark())
GQuark report_error_quark(void);
typedef enum { REPORT_ERROR_FORMAT, REPORT_ERROR_WRITE } ReportError;

typedef struct {
  const char *format; /* "html", "svg", "pdf", "md", "tex", "csv", "vega-lite", "lm-eval", "every-eval-ever", "json" */
  const char *task;   /* svg, pdf: which plot; NULL: the first task, or all where the format can */
  const char *cost;   /* svg, pdf, vega-lite: "reads" (NULL too), "peak", ... */
  gboolean paper;     /* the published numbers beside ours */
  gboolean texts;     /* html: the thread browser, with what the models wrote */
} ReportOptions;

/* Appends the report to `out`. `store` is read for texts only (NULL without them). */
gboolean report_write(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options, GString *out,
                      GError **error);
/* What a terminal of `width` columns shows: frontiers as a table and a small plot, margins, outcomes. `colour`: ANSI colours. */
void report_terminal(const ResultsSummary *summary, int width, gboolean colour, GString *out);

G_END_DECLS

#endif
