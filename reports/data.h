/* A summary as JSON: for the page's script, for machines, and in the formats of others. Texts are made visible,
 * numbers that are not finite are null. */
#ifndef HYPERSCALE_REPORTS_DATA_H
#define HYPERSCALE_REPORTS_DATA_H

#include <jansson.h>

#include "reports/report.h"

G_BEGIN_DECLS

/* {run, tasks, methods, points, frontier, margins}: points and the others in the summary's order, fields named as in
 * results.h. */
json_t *report_data_summary(const ResultsSummary *summary);
json_t *report_data_points(const ResultsSummary *summary);
/* The machine's JSON as an object, empty when it is none. */
json_t *report_data_machine(const ResultsSummary *summary);

/* "2026-01-02T03:04:05Z" in seconds since 1970, 0 when it is no time. */
gint64 report_data_epoch(const char *time);

/* Formats of report_write(). lm-eval and every-eval-ever: one JSON object a line for each method, for both formats
 * hold one model a file. */
gboolean report_data_json(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                          GString *out, GError **error);
gboolean report_data_vega_lite(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                               GString *out, GError **error);
gboolean report_data_lm_eval(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                             GString *out, GError **error);
gboolean report_data_every_eval_ever(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                                     GString *out, GError **error);

G_END_DECLS

#endif
