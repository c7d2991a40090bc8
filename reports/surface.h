/* The budget surface of a task as small multiples, one panel a method and compression ratio: accuracy over L and W
 * as a heat map, sequential against parallel scaling at equal reads, and what became of the threads at each length. */
#ifndef HYPERSCALE_REPORTS_SURFACE_H
#define HYPERSCALE_REPORTS_SURFACE_H

#include "reports/figure.h"

G_BEGIN_DECLS

/* Names of the outcomes in the order of the classes o0 .. o5, and their shares of a point's threads. */
#define SURFACE_OUTCOMES 6
extern const char *const report_surface_outcomes[SURFACE_OUTCOMES];
void report_surface_shares(const ResultsPoint *point, double shares[SURFACE_OUTCOMES]);

void report_surface_heat_maps(GString *out, const ResultsSummary *summary, const char *task);
void report_surface_sequential_parallel(GString *out, const ResultsSummary *summary, const char *task);
void report_surface_outcomes_by_length(GString *out, const ResultsSummary *summary, const char *task);

G_END_DECLS

#endif
