/* Draws figures as SVG: inside the page, where page.css styles the classes, and as a file of its own that brings its
 * style along. */
#ifndef HYPERSCALE_REPORTS_SVG_H
#define HYPERSCALE_REPORTS_SVG_H

#include "reports/figure.h"

G_BEGIN_DECLS

#define SVG_COLOURS 7 /* distinct method colours, classes m0 .. m6 */
#define SVG_SHAPES 6  /* distinct marker shapes */

typedef struct {
  double left, top, width, height; /* of the area between the axes */
} SvgFrame;

/* Axes, bands, frontiers, markers with labels. */
void report_svg_panel(GString *out, const Figure *figure, const SvgFrame *frame, gboolean y_title);
/* The plot of one figure for the page, an <svg> element whose parts the script moves. */
void report_svg_plot(GString *out, const Figure *figure);
/* A file: one panel a figure, side by side, under a title and one legend. */
void report_svg_file(GString *out, Figure *const *figures, guint n_figures, const char *title);
/* The outline of marker `shape` about the origin as path data. */
const char *report_svg_marker(guint shape);

G_END_DECLS

#endif
