/* Verdicts that another version of a grader moved: how many, from what to what, and some of them. */
#include <string.h>

#include "reports/page.h"
#include "reports/text.h"

typedef struct {
  const ResultsSummary *summary;
  GHashTable *moves; /* "task\x1fgraders\x1fverdicts" -> how many */
  Table *listed;
  guint n;
} Regrades;

static void collect(const ResultsRegrade *regrade, gpointer user_data) {
  Regrades *all = user_data;
  if (!report_page_has_task(all->summary, regrade->task)) return;
  g_autofree char *verdicts = strcmp(regrade->outcome_before, regrade->outcome_after) == 0
                                  ? g_strdup_printf("%s, another answer", regrade->outcome_after)
                                  : g_strdup_printf("%s \u2192 %s", regrade->outcome_before, regrade->outcome_after);
  char *move = g_strdup_printf("%s\x1f%s \u2192 %s\x1f%s", regrade->task, regrade->grader_before, regrade->grader_after,
                               verdicts);
  guint count = GPOINTER_TO_UINT(g_hash_table_lookup(all->moves, move));
  g_hash_table_insert(all->moves, move, GUINT_TO_POINTER(count + 1));
  if (++all->n > REPORT_PAGE_LISTED) return;
  char cr[NUMBER_SIZE];
  report_table_row(all->listed);
  report_table_cell(all->listed, "%s", regrade->task);
  report_table_cell(all->listed, "%s", regrade->problem_id);
  report_table_cell(all->listed, "%s %s\u00d7", regrade->method, report_number_plain(regrade->cr, cr));
  report_table_cell(all->listed, "%d", regrade->thread);
  report_table_cell(all->listed, "%s", verdicts);
  report_table_cell(all->listed, "%s \u2192 %s", regrade->answer_before ? regrade->answer_before : "none",
                    regrade->answer_after ? regrade->answer_after : "none");
}

static Table *count_moves(const Regrades *all) {
  static const char *const headings[] = {"task", "grader", "verdict", "threads"};
  Table *table = report_table_with("Moved verdicts", headings, G_N_ELEMENTS(headings), 3);
  g_autoptr(GList) moves = g_list_sort(g_hash_table_get_keys(all->moves), (GCompareFunc)strcmp);
  for (GList *move = moves; move; move = move->next) {
    g_auto(GStrv) part = g_strsplit(move->data, "\x1f", 3);
    report_table_row(table);
    for (int i = 0; i < 3; i++) report_table_cell(table, "%s", part[i]);
    report_table_cell(table, "%u", GPOINTER_TO_UINT(g_hash_table_lookup(all->moves, move->data)));
  }
  return table;
}

gboolean report_page_regrades(GString *out, const ResultsSummary *summary, ResultsStore *store, GError **error) {
  static const char *const headings[] = {"task", "problem", "method", "thread", "verdict", "answer"};
  g_autoptr(GHashTable) moves = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(Table) listed = report_table_with("Some of them", headings, G_N_ELEMENTS(headings), 3);
  Regrades all = {.summary = summary, .moves = moves, .listed = listed};
  if (!results_regrades(store, summary->run, collect, &all, error)) return FALSE;
  if (!all.n) return TRUE;
  g_autoptr(Table) counts = count_moves(&all);
  g_string_append(out, "<section id=\"regrades\"><h2>Verdicts that a grader moved</h2><p class=\"note\">Other versions "
                       "of the graders judged the same texts; this report's numbers are those of the versions under "
                       "Provenance. Both verdicts stay in the store (view <code>regrades</code>).</p>");
  report_table_write(out, counts, TEXT_HTML);
  report_page_examples(out, listed, all.n);
  g_string_append(out, "</section>\n");
  return TRUE;
}
