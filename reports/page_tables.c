/* The page's sections about the whole run: the margins and where the numbers come from; what other sections share. */
#include <string.h>

#include "reports/data.h"
#include "reports/page.h"
#include "reports/tables.h"

gboolean report_page_has_task(const ResultsSummary *summary, const char *task) {
  for (guint t = 0; t < summary->n_tasks; t++)
    if (strcmp(summary->task[t].name, task) == 0) return TRUE;
  return FALSE;
}

void report_page_examples(GString *out, const Table *list, guint n) {
  report_html(out, "<details><summary>%s %u of them</summary>", n > REPORT_PAGE_LISTED ? "The first" : "All",
              MIN(n, REPORT_PAGE_LISTED));
  report_table_write(out, list, TEXT_HTML);
  g_string_append(out, "</details>");
}

void report_page_margins(GString *out, const ResultsSummary *summary) {
  g_autoptr(Table) margins = report_tables_margins(summary, TRUE), others = report_tables_margins(summary, FALSE);
  if (!report_table_rows(margins)) return;
  g_string_append(out, "<section id=\"margins\"><h2>Margins at equal budget</h2><p class=\"note\">How many points more "
                       "accurate one method\u2019s "
                       "Pareto frontier is than the other\u2019s, mean over the budgets that both cover, interpolated "
                       "linearly over log\u2082 of "
                       "the budget or the budget itself. Intervals resample the problems.</p>");
  report_table_write(out, margins, TEXT_HTML);
  if (report_table_rows(others)) {
    g_string_append(out, "<details><summary>At other costs</summary><p class=\"note\">Time and throughput were read "
                         "off a clock, once. Their intervals say how much other problems would move them, not what "
                         "else the machine and the batch were doing meanwhile, so they carry no verdict: compare "
                         "methods by reads and peak, or time them again on an idle machine.</p>");
    report_table_write(out, others, TEXT_HTML);
    g_string_append(out, "</details>");
  }
  g_string_append(out, "</section>\n");
}

/* The machine's facts, one a row. */
static void write_machine(GString *out, const ResultsSummary *summary) {
  json_t *machine = report_data_machine(summary), *value;
  const char *key;
  g_string_append(out, "<dt>machine<dd>");
  json_object_foreach(machine, key, value) {
    g_autofree char *dump = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    report_html(out, "%s: %s<br>", key, dump ? dump : json_string_value(value));
  }
  json_decref(machine);
}

void report_page_provenance(GString *out, const ResultsSummary *summary) {
  const ResultsRunInfo *info = &summary->info;
  g_string_append(out, "<section class=\"provenance\" id=\"provenance\"><h2>Provenance</h2>");
  g_autoptr(Table) methods = report_tables_methods(summary);
  report_table_write(out, methods, TEXT_HTML);
  g_string_append(out, "<dl>");
  for (guint i = 0; i < summary->n_tasks; i++) {
    const ResultsTaskInfo *t = &summary->task[i];
    report_html(out, "<dt>%s<dd>%s; prompt style %s; grader %s", t->name, t->source, t->style, t->grader);
  }
  write_machine(out, summary);
  g_autofree char *seed = g_strdup_printf("%" G_GUINT64_FORMAT, info->seed);
  report_html(out,
              "<dt>seed<dd>%s<dt>program<dd>hyperscale "
              "%s<dt>begun<dd>%s<dt>plan<dd><pre>%s</pre></dl></section>\n",
              seed, info->version, info->created, info->plan);
}
