/* What a plot of accuracy against a cost shows, before anyone draws it: SVG, the page, the terminal and Vega-Lite
 * draw the same Figure.
 *
 * One series a method name, in the order in which the run lists them, so that a method has the same colour in every
 * plot; one marker shape a compression ratio. */
#ifndef HYPERSCALE_REPORTS_FIGURE_H
#define HYPERSCALE_REPORTS_FIGURE_H

#include "reports/report.h"

G_BEGIN_DECLS

typedef struct {
  const char *name;  /* as in the store */
  const char *title; /* "KV reads" */
  const char *axis;  /* the axis' title, with its unit */
} FigureCost;
#define KV_COSTS 2 /* reads and peak, the first two */
#define FIGURE_COSTS 6
extern const FigureCost report_figure_costs[FIGURE_COSTS];

typedef struct {
  const ResultsPoint *point;
  double x;          /* its cost, within 1e-30 .. 1e30, so that no axis overflows */
  guint index;       /* of the point in the summary */
  guint series;      /* of its method */
  guint shape;       /* of its compression ratio */
  gboolean frontier; /* on its method's frontier */
  double low, high;  /* there: 95 % interval of the frontier's height; NAN elsewhere */
} FigurePoint;

typedef struct {
  const char *method;
  GArray *frontier; /* guint: indices into Figure.point, by rising x */
} FigureSeries;

typedef struct {
  const char *task;
  const FigureCost *cost;
  GArray *point;        /* FigurePoint */
  GArray *series;       /* FigureSeries: every method of the run */
  GArray *ratio;        /* double: every compression ratio of the run, ascending; the index is the shape */
  double x_low, x_high; /* of the points, with some air; both 1 .. 2 when there are none */
  double y_low, y_high; /* accuracy, in [0, 1] */
} Figure;

/* The figure of one task and cost; summary must outlive it. Points whose cost is unknown are left out. */
Figure *report_figure_new(const ResultsSummary *summary, const char *task, const FigureCost *cost);
void report_figure_free(Figure *figure);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Figure, report_figure_free)

/* NULL and REPORT_ERROR_FORMAT when there is no such cost; the name may be NULL: reads. */
const FigureCost *report_figure_cost(const char *name, GError **error);
double report_figure_cost_of(const ResultsPoint *point, const char *cost);
/* The distinct method names of a run, in its order: const char *. */
GPtrArray *report_figure_methods(const ResultsSummary *summary);
guint report_figure_method_index(const ResultsSummary *summary, const char *name);
/* Whether a point is of this method, model and compression ratio, on this task. */
gboolean report_figure_is_of(const ResultsPoint *point, const ResultsMethodInfo *method, const char *task);
/* Of the two margins of a pair of methods the one to show: the method that the run lists later minus the earlier,
 * DMS minus vanilla. */
gboolean report_figure_shows_margin(const GPtrArray *methods, const ResultsMargin *margin);
/* "256", "32K": a length; "8-256", "1-32K": threads and length, as the literature labels points. */
#define LABEL_SIZE 32
char *report_figure_length(int length, char label[LABEL_SIZE]);
char *report_figure_label(int threads, int length, char label[LABEL_SIZE]);
/* The point of a method at its longest length, with `threads` threads, 0: with the fewest. NULL when there is none. */
const ResultsPoint *report_figure_longest(const ResultsSummary *summary, const char *task,
                                          const ResultsMethodInfo *method, int threads);

/* Where on an axis from low to high a value lies, 0 .. 1, by its logarithm. */
double report_figure_share_log(double low, double high, double value);
/* Tick values of an axis, ascending: for log2 a series of doublings (or quadruplings ...) that starts at a power of
 * ten, at most `most`. */
GArray *report_figure_ticks(double low, double high, gboolean log2_scale, guint most);

G_END_DECLS

#endif
