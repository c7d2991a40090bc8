/* The parts of report.html. Each appends complete elements; every text is escaped on the way. The page works without
 * its script: plots, tables and texts are there, the script adds details of points, switches, axes and zoom. */
#ifndef HYPERSCALE_REPORTS_PAGE_H
#define HYPERSCALE_REPORTS_PAGE_H

#include "reports/figure.h"
#include "reports/report.h"
#include "reports/table.h"

G_BEGIN_DECLS

/* The whole document. */
gboolean report_page_write(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                           GString *out, GError **error);

void report_page_margins(GString *out, const ResultsSummary *summary);
void report_page_task(GString *out, const ResultsSummary *summary, const ReportOptions *options, guint task);
/* What the options' comparisons say about a task. */
void report_page_comparisons(GString *out, const ResultsSummary *summary, const ReportOptions *options,
                             const char *task);
/* Verdicts that another version of a grader moved; nothing where none did. */
gboolean report_page_regrades(GString *out, const ResultsSummary *summary, ResultsStore *store, GError **error);
/* Programs that one way to run them finds right and the other wrong; nothing where there are none. */
gboolean report_page_splits(GString *out, const ResultsSummary *summary, ResultsStore *store, GError **error);
/* A sample of the threads with prompt, thinking, answer, verdict and cache. What is sampled stands above it. */
gboolean report_page_threads(GString *out, const ResultsSummary *summary, ResultsStore *store,
                             const ReportOptions *options, GError **error);
/* Pictures of what the caches of some threads hold at their end. */
void report_page_evictions(GString *out, const ResultsSummary *summary, const ReportEviction *evictions,
                           guint n_evictions);
void report_page_paper(GString *out, const ResultsSummary *summary);
void report_page_provenance(GString *out, const ResultsSummary *summary);

/* Whether the report is about this task too: a store has threads of others. */
gboolean report_page_has_task(const ResultsSummary *summary, const char *task);
enum { REPORT_PAGE_LISTED = 40 }; /* rows of a list of examples, at most */
/* `list`, folded: the first of `n` examples. */
void report_page_examples(GString *out, const Table *list, guint n);

G_END_DECLS

#endif
