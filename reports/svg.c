/* Pareto plots as SVG. Deterministic: coordinates have one decimal, nothing depends on time or locale. */
#include "reports/svg.h"

#include <math.h>
#include <string.h>

#include "reports/text.h"

#define FONT_WIDTH 6.1 /* of a digit of a label, for the placement of labels */
#define LABEL_HEIGHT 12.0

typedef struct {
  double left, top, width, height; /* of the area between the axes */
} Frame;

typedef struct {
  double x0, y0, x1, y1;
} Box;

static const char *const markers[SVG_SHAPES] = {
    "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z",
    "M0,-5.2L5,3.8H-5z",
    "M-4,-4H4V4H-4z",
    "M0,-5.7L5.7,0L0,5.7L-5.7,0z",
    "M0,5.2L5,-3.8H-5z",
    "M-5,-1.7H-1.7V-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5z",
};

const char *svg_marker(guint shape) {
  return markers[shape % SVG_SHAPES];
}

static double place_x(const Figure *figure, const Frame *frame, double x) {
  return frame->left + frame->width * log(x / figure->x_low) / log(figure->x_high / figure->x_low);
}

static double place_y(const Figure *figure, const Frame *frame, double accuracy) {
  double share = (CLAMP(accuracy, figure->y_low, figure->y_high) - figure->y_low) / (figure->y_high - figure->y_low);
  return frame->top + frame->height * (1 - share);
}

static void draw_axes(GString *out, const Figure *figure, const Frame *frame, gboolean first) {
  char number[NUMBER_SIZE];
  double right = frame->left + frame->width, bottom = frame->top + frame->height;
  g_string_append(out, "<g class=\"axes\">");
  g_autoptr(GArray) y = figure_ticks(figure->y_low, figure->y_high, FALSE, 6);
  for (guint i = 0; i < y->len; i++) {
    double accuracy = g_array_index(y, double, i), at = place_y(figure, frame, accuracy);
    text_print(out, TEXT_HTML, "<path class=\"rule\" d=\"M%.1f,%.1fH%.1f\"/>", frame->left, at, right);
    text_print(out, TEXT_HTML, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>",
               frame->left - 8, at + 4, accuracy * 100);
  }
  g_autoptr(GArray) x = figure_ticks(figure->x_low, figure->x_high, TRUE, (guint)(frame->width / 56));
  for (guint i = 0; i < x->len; i++) {
    double at = place_x(figure, frame, g_array_index(x, double, i));
    text_print(out, TEXT_HTML, "<path class=\"notch\" d=\"M%.1f,%.1fv5\"/>", at, bottom);
    text_print(out, TEXT_HTML, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>", at,
               bottom + 18, number_tick(figure->cost->name, g_array_index(x, double, i), number));
  }
  text_print(out, TEXT_HTML, "<path class=\"base\" d=\"M%.1f,%.1fH%.1f\"/>", frame->left, bottom, right);
  text_print(out, TEXT_HTML, "<text class=\"axis-x\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s, log\u2082</text>",
             frame->left + frame->width / 2, bottom + 38, figure->cost->axis);
  if (first)
    text_print(out, TEXT_HTML, "<text class=\"axis-y\" x=\"%.1f\" y=\"%.1f\">accuracy (%%)</text>", frame->left - 34,
               frame->top - 10);
  g_string_append(out, "</g>");
}

/* The 95 % intervals of the points of a frontier, joined as the frontier is. */
static void draw_band(GString *out, const Figure *figure, const Frame *frame, const GArray *frontier) {
  guint drawn = 0;
  for (int side = 0; side < 2; side++) {
    for (guint k = 0; k < frontier->len; k++) {
      guint i = g_array_index(frontier, guint, side ? frontier->len - 1 - k : k);
      const FigurePoint *p = &g_array_index(figure->point, FigurePoint, i);
      if (!isfinite(p->low) || !isfinite(p->high)) continue;
      g_string_append(out, drawn++ ? "L" : "<path class=\"band\" d=\"M");
      text_print(out, TEXT_HTML, "%.1f,%.1f", place_x(figure, frame, p->x),
                 place_y(figure, frame, side ? p->low : p->high));
    }
  }
  if (drawn) g_string_append(out, "z\"/>");
}

static void draw_frontier(GString *out, const Figure *figure, const Frame *frame, const GArray *frontier) {
  if (!frontier->len) return;
  for (guint k = 0; k < frontier->len; k++) {
    const FigurePoint *p = &g_array_index(figure->point, FigurePoint, g_array_index(frontier, guint, k));
    g_string_append(out, k ? "L" : "<path class=\"frontier\" d=\"M");
    text_print(out, TEXT_HTML, "%.1f,%.1f", place_x(figure, frame, p->x), place_y(figure, frame, p->point->accuracy));
  }
  g_string_append(out, "\"/>");
}

static gboolean overlaps(const GArray *boxes, Box box) {
  for (guint i = 0; i < boxes->len; i++) {
    Box *b = &g_array_index(boxes, Box, i);
    if (box.x0 < b->x1 && b->x0 < box.x1 && box.y0 < b->y1 && b->y0 < box.y1) return TRUE;
  }
  return FALSE;
}

/* The first free place about a marker for a text of `width`: its anchor's offset from the marker. FALSE: there is none. */
static gboolean place_label(GArray *taken, const Frame *frame, double x, double y, double width, double *dx,
                            double *dy) {
  static const struct {
    double dx, dy, shift; /* shift: how much of the width lies left of the anchor */
  } candidates[] = {{7, 13, 0}, {-7, -6, 1}, {0, 18, 0.5}, {0, -9, 0.5},
                    {9, 4, 0},  {-9, 4, 1},  {7, -6, 0},   {-7, 13, 1}};
  for (guint c = 0; c < G_N_ELEMENTS(candidates); c++) {
    double left = x + candidates[c].dx - candidates[c].shift * width, base = y + candidates[c].dy;
    Box box = {left - 1, base - LABEL_HEIGHT + 3, left + width + 1, base + 2};
    if (box.x0 < frame->left - 4 || box.x1 > frame->left + frame->width + 12 || box.y0 < frame->top - 12 ||
        box.y1 > frame->top + frame->height || overlaps(taken, box))
      continue;
    g_array_append_val(taken, box);
    *dx = left - x;
    *dy = candidates[c].dy;
    return TRUE;
  }
  return FALSE;
}

static void describe(GString *out, const Figure *figure, const FigurePoint *p) {
  char label[32], cr[NUMBER_SIZE], accuracy[NUMBER_SIZE], se[NUMBER_SIZE], cost[NUMBER_SIZE];
  figure_label(p->point, label);
  text_print(out, TEXT_HTML, "<title>%s %s, CR %s: %s %% \u00b1 %s, %s %s</title>", p->point->method, label,
             number_plain(p->point->cr, cr), number_percent(p->point->accuracy, accuracy),
             number_percent(p->point->accuracy_se, se), number_cost(figure->cost->name, p->x, cost),
             figure->cost->title);
}

static void draw_point(GString *out, const Figure *figure, const Frame *frame, guint index, GArray *taken) {
  const FigurePoint *p = &g_array_index(figure->point, FigurePoint, index);
  double x = place_x(figure, frame, p->x), y = place_y(figure, frame, p->point->accuracy), dx = 7, dy = 13;
  text_print(out, TEXT_HTML, "<g class=\"%s\" data-point=\"%u\" transform=\"translate(%.1f %.1f)\">",
             p->frontier ? "pt best" : "pt", (guint)(index), x, y);
  describe(out, figure, p);
  g_string_append(out, p->frontier ? "<path" : "<path transform=\"scale(.7)\"");
  text_print(out, TEXT_HTML, " d=\"%s\"/>", svg_marker(p->shape));
  if (p->frontier) {
    char label[32];
    figure_label(p->point, label);
    gboolean placed = place_label(taken, frame, x, y, FONT_WIDTH * (double)strlen(label), &dx, &dy);
    text_print(out, TEXT_HTML, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>", placed ? "label" : "label off", dx,
               dy, label);
  }
  g_string_append(out, "</g>");
}

static void draw_panel(GString *out, const Figure *figure, const Frame *frame, gboolean first) {
  draw_axes(out, figure, frame, first);
  g_autoptr(GArray) taken = g_array_new(FALSE, FALSE, sizeof(Box));
  for (guint i = 0; i < figure->point->len; i++) {
    const FigurePoint *p = &g_array_index(figure->point, FigurePoint, i);
    double x = place_x(figure, frame, p->x), y = place_y(figure, frame, p->point->accuracy);
    Box box = {x - 5, y - 5, x + 5, y + 5};
    if (p->frontier) g_array_append_val(taken, box);
  }
  for (int layer = 0; layer < 2; layer++) { /* frontiers above everything else */
    for (guint s = 0; s < figure->series->len; s++) {
      const FigureSeries *series = &g_array_index(figure->series, FigureSeries, s);
      text_print(out, TEXT_HTML, "<g class=\"series m%u\" data-series=\"%u\">", s % SVG_COLOURS, s);
      if (!layer) draw_band(out, figure, frame, series->frontier);
      if (layer) draw_frontier(out, figure, frame, series->frontier);
      for (guint i = 0; i < figure->point->len; i++) {
        const FigurePoint *p = &g_array_index(figure->point, FigurePoint, i);
        if (p->series == s && p->frontier == layer) draw_point(out, figure, frame, i, taken);
      }
      g_string_append(out, "</g>");
    }
  }
  if (!figure->point->len)
    text_print(out, TEXT_HTML,
               "<text class=\"axis-x\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">no graded points yet</text>",
               frame->left + frame->width / 2, frame->top + frame->height / 2);
}

void svg_plot(GString *out, const Figure *figure) {
  Frame frame = {44, 26, 580, 318};
  text_print(out, TEXT_HTML,
             "<svg class=\"plot\" viewBox=\"0 0 640 390\" role=\"group\" aria-label=\"%s: accuracy against %s\" "
             "data-cost=\"%s\">",
             figure->task, figure->cost->title, figure->cost->name);
  draw_panel(out, figure, &frame, TRUE);
  g_string_append(out, "</svg>");
}

static const char file_style[] =
    "text{font:12px system-ui,-apple-system,'Segoe UI','Helvetica Neue',Arial,sans-serif;fill:#57606a}"
    ".card{fill:#fff;stroke:#d8dee4}.head{font-size:15px;font-weight:600;fill:#1f2328}.panel{font-size:13px;font-"
    "weight:600;fill:#1f2328}"
    ".rule{stroke:#e8ebef;fill:none}.base,.notch{stroke:#8c959f;fill:none}"
    ".label{font-size:10.5px;fill:#424a53;paint-order:stroke;stroke:#fff;stroke-width:2.5px;stroke-linejoin:round}.off{"
    "display:none}"
    ".band{opacity:.13;stroke:none}.frontier{fill:none;stroke-width:2;stroke-linejoin:round}"
    ".pt path{opacity:.28}.best path{opacity:1;stroke:#fff;stroke-width:1}.key{fill:#57606a}"
    ".m0{fill:#0072b2;stroke:none}.m1{fill:#d55e00}.m2{fill:#009e73}.m3{fill:#cc79a7}.m4{fill:#e69f00}.m5{fill:#56b4e9}"
    ".m6{fill:#333}"
    ".m0 .frontier{stroke:#0072b2}.m1 .frontier{stroke:#d55e00}.m2 .frontier{stroke:#009e73}.m3 "
    ".frontier{stroke:#cc79a7}"
    ".m4 .frontier{stroke:#e69f00}.m5 .frontier{stroke:#56b4e9}.m6 .frontier{stroke:#333}"
    "@media(prefers-color-scheme:dark){text{fill:#9198a1}.card{fill:#0d1117;stroke:#30363d}.head,.panel{fill:#f0f6fc}"
    ".rule{stroke:#21262d}.base,.notch{stroke:#656c76}.label{fill:#c9d1d9;stroke:#0d1117}.best "
    "path{stroke:#0d1117}.key{fill:#9198a1}"
    ".m0{fill:#4aa8e0}.m1{fill:#ff8a3d}.m2{fill:#2fc79a}.m6{fill:#ddd}"
    ".m0 .frontier{stroke:#4aa8e0}.m1 .frontier{stroke:#ff8a3d}.m2 .frontier{stroke:#2fc79a}.m6 "
    ".frontier{stroke:#ddd}}";

/* Methods by colour, then compression ratios by shape, in one row. */
static void draw_legend(GString *out, const Figure *figure, double x, double y) {
  char number[NUMBER_SIZE];
  for (guint s = 0; s < figure->series->len; s++) {
    const FigureSeries *series = &g_array_index(figure->series, FigureSeries, s);
    if (!series->frontier->len) continue;
    text_print(out, TEXT_HTML, "<g class=\"m%u\"><path class=\"frontier\" d=\"M%.1f,%.1fh22\"/></g>", s % SVG_COLOURS,
               x, y - 4);
    text_print(out, TEXT_HTML, "<text x=\"%.1f\" y=\"%.1f\">%s</text>", x + 28, y, series->method);
    x += 28 + 6.6 * text_width(series->method) + 22;
  }
  if (figure->ratio->len < 2) return;
  text_print(out, TEXT_HTML, "<text x=\"%.1f\" y=\"%.1f\">compression</text>", x + 6, y);
  x += 90;
  for (guint r = 0; r < figure->ratio->len; r++) {
    number_plain(g_array_index(figure->ratio, double, r), number);
    text_print(
        out, TEXT_HTML,
        "<path class=\"key\" d=\"%s\" transform=\"translate(%.1f %.1f)\"/><text x=\"%.1f\" y=\"%.1f\">%s\u00d7</text>",
        svg_marker(r), x, y - 4, x + 9, y, number);
    x += 22 + 7.0 * (double)strlen(number) + 10;
  }
}

void svg_file(GString *out, Figure *const *figures, guint n_figures, const char *title, const char *note) {
  guint columns = MIN(MAX(n_figures, 1), 3), rows = (n_figures + columns - 1) / columns;
  double panel_width = n_figures > 1 ? 330 : 640, panel_height = n_figures > 1 ? 260 : 340;
  double width = 60 + (panel_width + 46) * columns, height = 84 + (panel_height + 96) * rows;
  text_print(out, TEXT_HTML,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
             "role=\"img\">",
             width, height, width, height);
  text_print(out, TEXT_HTML, "<title>%s</title><style>", title ? title : "accuracy against cost");
  g_string_append(out, file_style);
  text_print(out, TEXT_HTML,
             "</style><rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"%.0f\" height=\"%.0f\" rx=\"8\"/>", width - 1,
             height - 1);
  if (title) text_print(out, TEXT_HTML, "<text class=\"head\" x=\"22\" y=\"32\">%s</text>", title);
  if (n_figures) draw_legend(out, figures[0], 22, 56);
  for (guint i = 0; i < n_figures; i++) {
    Frame frame = {58 + (panel_width + 46) * (i % columns), 118 + (panel_height + 96) * (i / columns), panel_width,
                   panel_height};
    text_print(out, TEXT_HTML, "<text class=\"panel\" x=\"%.1f\" y=\"%.1f\">%s</text>", frame.left - 34, frame.top - 30,
               figures[i]->task);
    draw_panel(out, figures[i], &frame, i % columns == 0);
  }
  if (note) text_print(out, TEXT_HTML, "<text class=\"label\" x=\"22\" y=\"%.1f\">%s</text>", height - 12, note);
  g_string_append(out, "</svg>\n");
}
