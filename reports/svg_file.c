/* An SVG file of its own: panels side by side under a title and a legend, with their style. */
#include <string.h>

#include "reports/svg.h"
#include "reports/text.h"

extern const char _binary_reports_svg_file_css_start[], _binary_reports_svg_file_css_end[];

/* Methods by colour, then compression ratios by shape, in one row. */
static void draw_legend(GString *out, const Figure *figure, double x, double y) {
  char number[NUMBER_SIZE];
  for (guint s = 0; s < figure->series->len; s++) {
    const FigureSeries *series = &g_array_index(figure->series, FigureSeries, s);
    if (!series->frontier->len) continue;
    report_html(out, "<g class=\"m%u\"><path class=\"frontier\" d=\"M%.1f,%.1fh22\"/></g>", s % SVG_COLOURS, x, y - 4);
    report_html(out, "<text x=\"%.1f\" y=\"%.1f\">%s</text>", x + 28, y, series->method);
    x += 28 + 6.6 * report_text_width(series->method) + 22;
  }
  if (figure->ratio->len < 2) return;
  report_html(out, "<text x=\"%.1f\" y=\"%.1f\">compression</text>", x + 6, y);
  x += 100;
  for (guint r = 0; r < figure->ratio->len; r++) {
    report_number_plain(g_array_index(figure->ratio, double, r), number);
    report_html(
        out,
        "<path class=\"key\" d=\"%s\" transform=\"translate(%.1f %.1f)\"/><text x=\"%.1f\" y=\"%.1f\">%s\u00d7</text>",
        report_svg_marker(r), x, y - 4, x + 9, y, number);
    x += 22 + 7.0 * (double)strlen(number) + 10;
  }
}

void report_svg_file(GString *out, Figure *const *figures, guint n_figures, const char *title) {
  guint columns = MIN(MAX(n_figures, 1), 3), rows = (n_figures + columns - 1) / columns;
  double panel_width = n_figures > 1 ? 330 : 640, panel_height = n_figures > 1 ? 260 : 340;
  double width = 60 + (panel_width + 46) * columns, height = 96 + (panel_height + 96) * rows;
  report_html(out,
              "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
              "role=\"img\">",
              width, height, width, height);
  report_html(out, "<title>%s</title><style>", title);
  g_string_append_len(out, _binary_reports_svg_file_css_start,
                      _binary_reports_svg_file_css_end - _binary_reports_svg_file_css_start);
  report_html(out, "</style><rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"%.0f\" height=\"%.0f\" rx=\"8\"/>",
              width - 1, height - 1);
  report_html(out, "<text class=\"head\" x=\"22\" y=\"32\">%s</text>", title);
  if (n_figures) draw_legend(out, figures[0], 22, 56);
  for (guint i = 0; i < n_figures; i++) {
    const SvgFrame frame = {58 + (panel_width + 46) * (i % columns), 118 + (panel_height + 96) * (i / columns),
                            panel_width, panel_height};
    report_html(out, "<text class=\"panel\" x=\"%.1f\" y=\"%.1f\">%s</text>", frame.left - 34, frame.top - 30,
                figures[i]->task);
    report_svg_panel(out, figures[i], &frame, i % columns == 0);
  }
  report_html(
      out,
      "<text class=\"note\" x=\"22\" y=\"%.1f\">Labels: threads and tokens (W-L). Bands: 95 %% intervals of the "
      "frontiers over problems.</text>",
      height - 16);
  g_string_append(out, "</svg>\n");
}
