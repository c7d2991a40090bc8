/* What small multiples have in common: panels 300 units wide, on a grid of L x W or with a cost below. */
#ifndef HYPERSCALE_REPORTS_PANEL_H
#define HYPERSCALE_REPORTS_PANEL_H

#include "reports/figure.h"

G_BEGIN_DECLS

#define PANEL_WIDTH 300.0
#define PANEL_LEFT 34.0 /* of the area in which a panel draws */
#define PANEL_RIGHT 292.0

/* A grid: one column a length, one row a number of threads, the most on top. */
#define PANEL_ROW 26.0
static inline double report_panel_column(const GArray *lengths) {
  return (PANEL_RIGHT - PANEL_LEFT) / lengths->len;
}
/* Height of a panel that holds a grid and its labels. */
double report_panel_grid_height(const GArray *threads);
/* Where the cell of (L, W) begins; both are in the arrays, which ascend. */
void report_panel_cell(const GArray *lengths, const GArray *threads, int length, int width, double *x, double *y);
void report_panel_grid_labels(GString *out, const GArray *lengths, const GArray *threads);
/* Labels of the lengths, as many as fit; L in the corner. */
void report_panel_lengths(GString *out, const GArray *lengths, double y);

/* A plot of shares, or of differences between them, against a cost, log2. */
typedef struct {
  const FigureCost *cost;
  double x_low, x_high, y_low, y_high;
  gboolean differences; /* ticks have signs */
} PanelScale;
#define PANEL_PLOT_HEIGHT 194.0
double report_panel_x(const PanelScale *scale, double x);
double report_panel_y(const PanelScale *scale, double y);
void report_panel_axes(GString *out, const PanelScale *scale);

/* Inserts a value that is not there yet into an ascending array of int. */
void report_panel_insert(GArray *values, int value);

G_END_DECLS

#endif
