/* What is not whole about a run, said in every format. */
#ifndef HYPERSCALE_REPORTS_WARNINGS_H
#define HYPERSCALE_REPORTS_WARNINGS_H

#include "reports/report.h"

G_BEGIN_DECLS

/* Stands where a task's points would. */
extern const char report_no_points[];
/* Sentences to set above everything else: partial runs, missing or ungraded threads. char *, freed with the array. */
GPtrArray *report_warnings(const ResultsSummary *summary);
/* The run's name for a title, with "partial run" or "incomplete run" behind it where that is so. g_free(). */
char *report_title(const ResultsSummary *summary);

G_END_DECLS

#endif
