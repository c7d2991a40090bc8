/* A task's section of the page: Pareto plots, what became of the threads, every point. */
#include <math.h>
#include <string.h>

#include "reports/page.h"
#include "reports/svg.h"
#include "reports/tables.h"

static gboolean has_cost(const ResultsSummary *summary, const char *task, const char *cost) {
  for (guint i = 0; i < summary->n_points; i++)
    if (strcmp(summary->point[i].task, task) == 0 && figure_cost_of(&summary->point[i], cost) > 0) return TRUE;
  return FALSE;
}

static void write_plot(GString *out, const ResultsSummary *summary, const char *task, const FigureCost *cost) {
  g_autoptr(Figure) figure = figure_new(summary, task, cost);
  g_string_append(out, "<figure class=\"pareto\"><div class=\"scroll\">");
  svg_plot(out, figure);
  text_print(out, TEXT_HTML, "</div><figcaption>Accuracy against %s.</figcaption></figure>", cost->title);
}

/* The legend of all plots: methods by colour, compression ratios by shape. */
static void write_legend(GString *out, const Figure *figure) {
  char number[NUMBER_SIZE];
  g_string_append(out, "<p class=\"legend\">");
  for (guint s = 0; s < figure->series->len; s++)
    text_print(out, TEXT_HTML,
               "<span class=\"m%u\"><svg class=\"swatch\" viewBox=\"0 0 24 12\"><path class=\"frontier\" "
               "d=\"M1,6H23\"/></svg>%s</span>",
               s % SVG_COLOURS, g_array_index(figure->series, FigureSeries, s).method);
  for (guint r = 0; r < figure->ratio->len; r++)
    text_print(out, TEXT_HTML,
               "<span><svg class=\"swatch\" viewBox=\"-7 -6 14 12\"><path d=\"%s\"/></svg>%s\u00d7</span>",
               svg_marker(r), number_plain(g_array_index(figure->ratio, double, r), number));
  g_string_append(out, "</p>");
}

static void write_outcomes(GString *out, const ResultsSummary *summary, const ResultsTaskInfo *task) {
  static const char *const names[] = {"correct", "wrong", "no answer", "truncated", "error", "ungraded"};
  g_string_append(out,
                  "<h3>Outcomes</h3><table class=\"outcomes\"><thead><tr><th>method<th>CR<th class=\"wide\">threads");
  for (guint k = 0; k < G_N_ELEMENTS(names); k++) text_print(out, TEXT_HTML, "<th class=\"num\">%s", names[k]);
  g_string_append(out, "</thead><tbody>");
  for (guint i = 0; i < summary->n_points; i++) {
    const ResultsPoint *p = &summary->point[i];
    if (strcmp(p->task, task->name) != 0 || p->length != task->max_length || p->threads != 1) continue;
    const double shares[] = {p->correct, p->wrong, p->no_answer, p->truncated, p->errors, p->ungraded};
    char number[NUMBER_SIZE];
    text_print(out, TEXT_HTML, "<tr><td>%s<td class=\"num\">%s<td><svg class=\"bar\" width=\"100%%\" height=\"14\">",
               p->method, number_plain(p->cr, number));
    double x = 0;
    for (guint k = 0; k < G_N_ELEMENTS(shares); k++) {
      text_print(out, TEXT_HTML,
                 "<rect class=\"o%u\" x=\"%.2f%%\" width=\"%.2f%%\" height=\"14\"><title>%s %s %%</title></rect>", k,
                 x * 100, shares[k] * 100, names[k], number_percent(shares[k], number));
      x += shares[k];
    }
    g_string_append(out, "</svg>");
    for (guint k = 0; k < G_N_ELEMENTS(shares); k++)
      text_print(out, TEXT_HTML, "<td class=\"num\">%s", number_percent(shares[k], number));
  }
  g_string_append(out, "</tbody></table>");
}

void page_task(GString *out, const ResultsSummary *summary, const ResultsTaskInfo *task) {
  text_print(
      out, TEXT_HTML,
      "<section class=\"task\"><h2>%s</h2><p class=\"facts\">%d problems, %s@W, at most %d threads of %d tokens</p>",
      task->name, task->problems, task->aggregate, task->max_threads, task->max_length);
  g_autoptr(Figure) figure = figure_new(summary, task->name, &figure_costs[0]);
  write_legend(out, figure);
  g_string_append(out, "<div class=\"pair\">");
  for (guint c = 0; c < 2; c++) write_plot(out, summary, task->name, &figure_costs[c]);
  g_string_append(out, "</div><details><summary>Other costs</summary><div class=\"pair\">");
  for (guint c = 2; c < FIGURE_COSTS; c++)
    if (has_cost(summary, task->name, figure_costs[c].name)) write_plot(out, summary, task->name, &figure_costs[c]);
  g_string_append(out, "</div></details>");
  write_outcomes(out, summary, task);
  g_autoptr(Table) points = tables_points(summary, task->name);
  g_string_append(out, "<details class=\"points\"><summary>All points</summary>");
  table_write(out, points, TEXT_HTML);
  g_string_append(out, "</details>");
  g_string_append(out, "</section>\n");
}
