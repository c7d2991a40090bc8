/* Pictures of what a cache holds when its thread ends: one row a layer and KV head, one column a position. */
#include <math.h>

#include "reports/page.h"
#include "reports/svg.h"
#include "reports/text.h"

#define LEFT 40.0
#define WIDTH 900.0
#define BINS 900 /* columns at most: longer threads have several positions in one */
#define LEVELS 4 /* of the share of a bin's positions that are held */

static gboolean is_held(const ReportEviction *e, int row, int position) {
  return position >= e->tokens - 1 - e->window || !e->flags[(gsize)row * (gsize)e->tokens + (gsize)position];
}

/* 0: nothing in the bin is held, LEVELS: all of it. */
static int level(const ReportEviction *e, int row, int bin, int bins) {
  int from = (int)((gint64)bin * e->tokens / bins), to = MAX((int)((gint64)(bin + 1) * e->tokens / bins), from + 1),
      held = 0;
  for (int position = from; position < to; position++) held += is_held(e, row, position);
  return (held * LEVELS + to - from - 1) / (to - from);
}

static double held_share(const ReportEviction *e) {
  gint64 held = 0, rows = (gint64)e->layers * e->kv_heads;
  for (int row = 0; row < rows; row++)
    for (int position = 0; position < e->tokens; position++) held += is_held(e, row, position);
  return (double)held / (double)(rows * e->tokens);
}

/* The runs of bins of one level, as strokes along each row. */
static void draw_level(GString *out, const ReportEviction *e, int bins, int wanted, double row_height) {
  gboolean begun = FALSE;
  for (int row = 0; row < e->layers * e->kv_heads; row++)
    for (int bin = 0; bin < bins;) {
      int end = bin;
      while (end < bins && level(e, row, end, bins) == wanted) end++;
      if (end > bin) {
        if (!begun)
          report_html(out, "<path class=\"held\" stroke-width=\"%.1f\" stroke-opacity=\"%.2f\" d=\"", row_height * 0.8,
                      (double)wanted / LEVELS);
        report_html(out, "M%.1f,%.1fH%.1f", LEFT + WIDTH * bin / bins, (row + 0.5) * row_height,
                    LEFT + WIDTH * end / bins);
        begun = TRUE;
      }
      bin = MAX(end, bin + 1);
    }
  if (begun) g_string_append(out, "\"/>");
}

/* A line where a stretch of positions begins, named if there is room for the name. */
static void draw_mark(GString *out, const ReportEviction *e, int position, const char *name, double height) {
  double x = LEFT + WIDTH * position / e->tokens;
  report_html(out, "<path class=\"notch\" d=\"M%.1f,0V%.1f\"/>", x, height + 6);
  report_html(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>", x, height + 18,
              x > LEFT + WIDTH * 0.9 ? "end" : "start", name);
}

static void draw_eviction(GString *out, const ReportEviction *e, guint series) {
  int rows = e->layers * e->kv_heads, bins = MIN(e->tokens, BINS);
  double row_height = CLAMP(220.0 / rows, 2, 12), height = row_height * rows;
  char cr[NUMBER_SIZE], held[NUMBER_SIZE];
  report_html(out,
              "<figure class=\"eviction m%u\"><figcaption><b>%s</b> %s\u00d7 \u00b7 %s, problem %s, thread %d \u00b7 "
              "%d tokens, %s %% held"
              "</figcaption><div class=\"scroll\"><svg viewBox=\"0 0 %.0f %.1f\" role=\"img\" aria-label=\"positions "
              "held by layer and head\">",
              series % SVG_COLOURS, e->method, report_number_plain(e->cr, cr), e->task, e->problem_id, e->thread,
              e->tokens, report_number_percent(held_share(e), held), LEFT + WIDTH + 8, height + 26);
  double layer_height = row_height * e->kv_heads;
  for (int layer = 0; layer < e->layers; layer += (int)ceil(12 / MIN(layer_height, 12)))
    report_html(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%d</text>", LEFT - 8,
                (layer + 0.5) * layer_height + 4, layer);
  for (int wanted = 1; wanted <= LEVELS; wanted++) draw_level(out, e, bins, wanted, row_height);
  draw_mark(out, e, e->prompt_length, "completion", height);
  draw_mark(out, e, MAX(e->tokens - 1 - e->window, 0), "window", height);
  g_string_append(out, "</svg></div></figure>\n");
}

void report_page_evictions(GString *out, const ResultsSummary *summary, const ReportEviction *evictions,
                           guint n_evictions) {
  if (!n_evictions) return;
  g_string_append(
      out,
      "<section class=\"evictions\" id=\"evictions\"><h2>What the cache keeps</h2><p class=\"note\">Positions that "
      "each layer (numbered) and KV "
      "head still holds when the thread ends. Blank: dropped once it had left the window.</p>");
  for (guint i = 0; i < n_evictions; i++)
    if (evictions[i].tokens > 0)
      draw_eviction(out, &evictions[i], report_figure_method_index(summary, evictions[i].method));
  g_string_append(out, "</section>\n");
}
