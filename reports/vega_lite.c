/* A Vega-Lite specification of the Pareto plots, one facet a task, with the data inside: for readers who restyle. */
#include <string.h>

#include "reports/data.h"
#include "reports/figure.h"
#include "reports/text.h"
#include "reports/warnings.h"

/* COST, AXIS: of the cost. Quotes are single here and doubled before parsing. */
static const char specification[] =
    "{'$schema': 'https://vega.github.io/schema/vega-lite/v5.json',"
    " 'facet': {'field': 'task', 'type': 'nominal', 'title': null}, 'columns': 3,"
    " 'spec': {'width': 340, 'height': 260,"
    "  'encoding': {"
    "   'x': {'field': 'COST', 'type': 'quantitative', 'scale': {'type': 'log', 'base': 2}, 'axis': {'format': '.2~s'},"
    "    'title': 'AXIS'},"
    "   'y': {'field': 'accuracy', 'type': 'quantitative', 'axis': {'format': '%'}},"
    "   'color': {'field': 'method', 'type': 'nominal', 'legend': {'symbolOpacity': 1},"
    "    'scale': {'range': ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#333333']}}},"
    "  'layer': ["
    "   {'transform': [{'filter': 'datum.frontier'}], 'mark': {'type': 'area', 'opacity': 0.13},"
    "    'encoding': {'y': {'field': 'frontier_low', 'type': 'quantitative', 'title': 'accuracy'},"
    "     'y2': {'field': 'frontier_high'}}},"
    "   {'transform': [{'filter': 'datum.frontier'}], 'mark': 'line', 'encoding': {'order': {'field': 'COST'}}},"
    "   {'mark': {'type': 'point', 'filled': true},"
    "    'encoding': {'shape': {'field': 'cr', 'type': 'nominal', 'title': 'CR'},"
    "     'opacity': {'condition': {'test': 'datum.frontier', 'value': 1}, 'value': 0.25},"
    "     'tooltip': [{'field': 'method'}, {'field': 'cr'}, {'field': 'label', 'title': 'W-L'},"
    "      {'field': 'accuracy', 'format': '.1%'}, {'field': 'low', 'format': '.1%'}, {'field': 'high', 'format': "
    "'.1%'},"
    "      {'field': 'COST', 'format': '.3s'}]}},"
    "   {'transform': [{'filter': 'datum.frontier'}], 'mark': {'type': 'text', 'align': 'left', 'dx': 7, 'dy': 7, "
    "'fontSize': 10},"
    "    'encoding': {'text': {'field': 'label'}}}]}}";

/* The points of a task with their labels and whether they are on the frontier. */
static void add_task_rows(json_t *rows, const ResultsSummary *summary, json_t *points, const char *task,
                          const FigureCost *cost) {
  g_autoptr(Figure) figure = report_figure_new(summary, task, cost);
  for (guint i = 0; i < figure->point->len; i++) {
    const FigurePoint *p = &g_array_index(figure->point, FigurePoint, i);
    json_t *row = json_array_get(points, (size_t)(p->point - summary->point));
    char label[LABEL_SIZE];
    report_figure_label(p->point->threads, p->point->length, label);
    json_object_set_new(row, "label", json_string(label));
    json_object_set_new(row, "frontier", json_boolean(p->frontier));
    json_object_set_new(row, "frontier_low", report_text_json_number(p->low));
    json_object_set_new(row, "frontier_high", report_text_json_number(p->high));
    json_array_append(rows, row);
  }
}

/* Colours go to methods in the order of all other reports. */
static void fix_colours(json_t *root, const ResultsSummary *summary) {
  g_autoptr(GPtrArray) methods = report_figure_methods(summary);
  json_t *domain = json_array(), *scale = NULL;
  for (guint i = 0; i < methods->len; i++) json_array_append_new(domain, report_text_json(methods->pdata[i], -1));
  json_unpack(root, "{s:{s:{s:{s:o}}}}", "spec", "encoding", "color", "scale", &scale);
  json_object_set_new(scale, "domain", domain);
}

gboolean report_data_vega_lite(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                               GString *out, GError **error) {
  const FigureCost *cost = report_figure_cost(options->cost, error);
  if (!cost) return FALSE;
  g_autoptr(GString) text = g_string_new(specification);
  g_string_replace(text, "'", "\"", 0);
  g_string_replace(text, "COST", cost->name, 0);
  g_string_replace(text, "AXIS", cost->axis, 0);
  json_t *root = json_loads(text->str, 0, NULL), *points = report_data_points(summary), *rows = json_array();
  g_assert(root);
  for (guint t = 0; t < summary->n_tasks; t++) add_task_rows(rows, summary, points, summary->task[t].name, cost);
  json_decref(points);
  fix_colours(root, summary);
  g_autofree char *title = report_title(summary);
  json_object_set_new(root, "title", report_text_json(title, -1));
  json_object_set_new(root, "data", json_pack("{s:o}", "values", rows));
  report_text_append_json(out, root, 9, FALSE);
  g_string_append_c(out, '\n');
  return TRUE;
}
