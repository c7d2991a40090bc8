/* Grids and axes of small multiples. */
#include "reports/panel.h"

#include <math.h>

#include "reports/text.h"

#define TOP 8.0 /* of a plot */
#define BOTTOM 158.0

void report_panel_insert(GArray *values, int value) {
  guint at = 0;
  while (at < values->len && g_array_index(values, int, at) < value) at++;
  if (at == values->len || g_array_index(values, int, at) != value) g_array_insert_val(values, at, value);
}

static guint rank(const GArray *values, int value) {
  guint at = 0;
  while (g_array_index(values, int, at) < value) at++;
  return at;
}

double report_panel_grid_height(const GArray *threads) {
  return 4 + PANEL_ROW * threads->len + 22;
}

void report_panel_cell(const GArray *lengths, const GArray *threads, int length, int width, double *x, double *y) {
  *x = PANEL_LEFT + rank(lengths, length) * report_panel_column(lengths);
  *y = 4 + (threads->len - 1 - rank(threads, width)) * PANEL_ROW;
}

void report_panel_lengths(GString *out, const GArray *lengths, double y) {
  double step = report_panel_column(lengths);
  guint every = (guint)ceil(30 / step);
  for (guint l = 0; l < lengths->len; l += every) {
    char label[LABEL_SIZE];
    report_html(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", PANEL_LEFT + (l + 0.5) * step, y,
                report_figure_length(g_array_index(lengths, int, l), label));
  }
  report_html(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">L</text>", PANEL_LEFT - 8, y);
}

void report_panel_grid_labels(GString *out, const GArray *lengths, const GArray *threads) {
  for (guint t = 0; t < threads->len; t++)
    report_html(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s%d</text>", PANEL_LEFT - 8,
                4 + (threads->len - 1 - t) * PANEL_ROW + PANEL_ROW / 2 + 3.5, t + 1 == threads->len ? "W " : "",
                g_array_index(threads, int, t));
  report_panel_lengths(out, lengths, report_panel_grid_height(threads) - 6);
}

double report_panel_x(const PanelScale *scale, double x) {
  return PANEL_LEFT + (PANEL_RIGHT - PANEL_LEFT) * report_figure_share_log(scale->x_low, scale->x_high, x);
}

double report_panel_y(const PanelScale *scale, double y) {
  return BOTTOM -
         (BOTTOM - TOP) * (CLAMP(y, scale->y_low, scale->y_high) - scale->y_low) / (scale->y_high - scale->y_low);
}

void report_panel_axes(GString *out, const PanelScale *scale) {
  g_autoptr(GArray) y_ticks = report_figure_ticks(scale->y_low, scale->y_high, FALSE, 5);
  g_autoptr(GArray) x_ticks = report_figure_ticks(scale->x_low, scale->x_high, TRUE, 5);
  for (guint i = 0; i < y_ticks->len; i++) {
    double tick = g_array_index(y_ticks, double, i), y = report_panel_y(scale, tick);
    const char *sign = !scale->differences || tick == 0 ? "" : tick > 0 ? "+" : "\u2212";
    report_html(
        out,
        "<path class=\"rule\" d=\"M%.1f,%.1fH%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s%.0f</text>",
        PANEL_LEFT, y, PANEL_RIGHT, PANEL_LEFT - 5, y + 4, sign, fabs(tick) * 100);
  }
  for (guint i = 0; i < x_ticks->len; i++) {
    char number[NUMBER_SIZE];
    double tick = g_array_index(x_ticks, double, i), x = report_panel_x(scale, tick);
    report_html(
        out, "<path class=\"notch\" d=\"M%.1f,%.1fv4\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>",
        x, BOTTOM, x, BOTTOM + 16, report_number_tick(scale->cost->name, tick, number));
  }
  report_html(out, "<path class=\"base\" d=\"M%.1f,%.1fH%.1f\"/>", PANEL_LEFT, BOTTOM, PANEL_RIGHT);
  report_html(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s per problem, log\u2082</text>",
              (PANEL_LEFT + PANEL_RIGHT) / 2, BOTTOM + 32, scale->cost->title);
}
