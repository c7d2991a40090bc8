/* Programs on which LiveCodeBench's runner and a plain process disagree: how many of each method, and some of them. */
#include <string.h>

#include "reports/page.h"
#include "reports/text.h"

/* Threads of one task and method that only one of the two ways finds right. */
typedef struct {
  guint official, real;
} Count;

typedef struct {
  const ResultsSummary *summary;
  GHashTable *counts; /* "task\x1fmethod" -> Count */
  GPtrArray *order;   /* its keys as they came */
  Table *listed;
  guint n;
} Splits;

static void collect(const ResultsSplit *split, gpointer user_data) {
  Splits *all = user_data;
  if (!report_page_has_task(all->summary, split->task)) return;
  char cr[NUMBER_SIZE];
  g_autofree char *method = g_strdup_printf("%s %s\u00d7", split->method, report_number_plain(split->cr, cr));
  g_autofree char *key = g_strdup_printf("%s\x1f%s", split->task, method);
  Count *count = g_hash_table_lookup(all->counts, key);
  if (!count) {
    count = g_new0(Count, 1);
    g_ptr_array_add(all->order, key);
    g_hash_table_insert(all->counts, g_steal_pointer(&key), count);
  }
  gboolean official = strcmp(split->official, "correct") == 0;
  count->official += official;
  count->real += !official;
  if (++all->n > REPORT_PAGE_LISTED) return;
  report_table_row(all->listed);
  report_table_cell(all->listed, "%s", split->task);
  report_table_cell(all->listed, "%s", split->problem_id);
  report_table_cell(all->listed, "%s", method);
  report_table_cell(all->listed, "%d", split->thread);
  report_table_cell(all->listed, "%s", official ? "official" : "real");
  report_table_cell(all->listed, "%s", split->detail ? split->detail : "");
}

gboolean report_page_splits(GString *out, const ResultsSummary *summary, ResultsStore *store, GError **error) {
  static const char *const headings[] = {"task", "problem", "method", "thread", "right in", "why it counts so"};
  g_autoptr(GHashTable) counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(GPtrArray) order = g_ptr_array_new();
  g_autoptr(Table) listed = report_table_with("Some of them", headings, G_N_ELEMENTS(headings), 3);
  Splits all = {.summary = summary, .counts = counts, .order = order, .listed = listed};
  if (!results_splits(store, summary->run, collect, &all, error)) return FALSE;
  if (!all.n) return TRUE;
  g_autoptr(Table) table = report_table_new("Programs that only one way to run them finds right");
  report_table_column(table, "task", TABLE_TEXT);
  report_table_column(table, "method", TABLE_TEXT);
  report_table_column(table, "only official", TABLE_NUMBER);
  report_table_column(table, "only real", TABLE_NUMBER);
  for (guint i = 0; i < order->len; i++) {
    const Count *count = g_hash_table_lookup(counts, order->pdata[i]);
    g_auto(GStrv) part = g_strsplit(order->pdata[i], "\x1f", 2);
    report_table_row(table);
    report_table_cell(table, "%s", part[0]);
    report_table_cell(table, "%s", part[1]);
    report_table_cell(table, "%u", count->official);
    report_table_cell(table, "%u", count->real);
  }
  g_string_append(out, "<section id=\"splits\"><h2>Where the way to run a program decides</h2><p class=\"note\">Each "
                       "program runs twice: as LiveCodeBench's runner does, with stand-ins for its input and output "
                       "(official), and as a plain process (real). The plan says which verdict counts.</p>");
  report_table_write(out, table, TEXT_HTML);
  report_page_examples(out, listed, all.n);
  g_string_append(out, "</section>\n");
  return TRUE;
}
