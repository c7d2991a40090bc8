/* The page's sections about the whole run: the margins and where the numbers come from. */
#include "reports/page.h"
#include "reports/tables.h"

void report_page_margins(GString *out, const ResultsSummary *summary) {
  g_autoptr(Table) margins = report_tables_margins(summary);
  if (!report_table_rows(margins)) return;
  g_string_append(out, "<section class=\"margins\"><h2>Margins at equal budget</h2>");
  report_table_write(out, margins, TEXT_HTML);
  g_string_append(out, "</section>\n");
}

void report_page_provenance(GString *out, const ResultsSummary *summary) {
  const ResultsRunInfo *info = &summary->info;
  g_string_append(out, "<section class=\"provenance\"><h2>Provenance</h2>");
  g_autoptr(Table) methods = report_tables_methods(summary);
  report_table_write(out, methods, TEXT_HTML);
  g_string_append(out, "<dl>");
  for (guint i = 0; i < summary->n_tasks; i++) {
    const ResultsTaskInfo *t = &summary->task[i];
    report_html(out, "<dt>%s<dd>%s; prompt style %s; grader %s", t->name, t->source, t->style, t->grader);
  }
  g_autofree char *seed = g_strdup_printf("%" G_GUINT64_FORMAT, info->seed);
  report_html(out,
              "<dt>seed<dd>%s<dt>program<dd>hyperscale "
              "%s<dt>machine<dd>%s<dt>begun<dd>%s<dt>plan<dd><pre>%s</pre></dl></section>\n",
              seed, info->version, info->machine, info->created, info->plan);
}
