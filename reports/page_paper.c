/* The page's section on the paper: its numbers beside ours, and what it leaves open. */
#include "reports/page.h"
#include "reports/paper.h"

void report_page_paper(GString *out, const ResultsSummary *summary) {
  gboolean matches = report_paper_matches(summary);
  g_string_append(
      out,
      "<section class=\"paper\" id=\"paper\"><h2>Beside the paper</h2><p class=\"note\">\u0141a\u0144cucki, "
      "Staniszewski, Nawrot, "
      "Ponti: "
      "Inference-Time Hyper-Scaling with KV Cache Compression, NeurIPS 2025, arXiv 2506.05345. \u201cIts noise\u201d "
      "is the "
      "binomial standard error of one run over as many problems (30 of AIME, 500 of MATH, 198 of GPQA, 323 of "
      "LiveCodeBench), "
      "an upper bound of what sampling alone does; a difference within 1.96 of it and ours together says nothing. Ours "
      "is "
      "measured over threads, and taken to be as large where only one was run.</p>");
  if (!matches)
    g_string_append(
        out,
        "<p>No model of this run is one of the paper's, so there is nothing of ours to set beside its numbers.</p>");
  g_autoptr(Table) accuracies = report_paper_accuracies(summary), margins = report_paper_margins(summary);
  Table *const tables[] = {accuracies, margins};
  static const char *const titles[] = {"Accuracy at one thread", "Margins"};
  for (guint i = 0; i < G_N_ELEMENTS(tables); i++) {
    if (!report_table_rows(tables[i])) continue;
    g_string_append(out, matches ? "<details open>" : "<details>");
    report_html(out, "<summary>%s</summary>", titles[i]);
    report_table_write(out, tables[i], TEXT_HTML);
    g_string_append(out, "</details>");
  }
  g_string_append(out, "<h3>What the paper does not state</h3><ul>");
  for (guint i = 0; report_paper_unstated[i]; i++) report_html(out, "<li>%s", report_paper_unstated[i]);
  g_string_append(out, "</ul></section>\n");
}
