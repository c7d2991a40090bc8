/* The page's tables about the whole run: the margins and where the numbers come from. */
#include <math.h>
#include <string.h>

#include "reports/page.h"
#include "reports/text.h"

static const char *verdict(const ResultsMargin *m) {
  if (!isfinite(m->margin)) return "no common budget";
  if (m->low > 0) return "better";
  return m->high < 0 ? "worse" : "indistinguishable";
}

void page_margins(GString *out, const ResultsSummary *summary) {
  if (!summary->n_margins) return;
  g_string_append(out, "<section class=\"margins\"><h2>Margins at equal budget</h2><div "
                       "class=\"scroll\"><table><thead><tr><th>task<th>cost<th>pair"
                       "<th class=\"num\">margin, points<th class=\"num\">95 % interval<th class=\"num\">over "
                       "budgets<th>verdict</thead><tbody>");
  for (guint i = 0; i < summary->n_margins; i++) {
    const ResultsMargin *m = &summary->margin[i];
    char n[5][NUMBER_SIZE];
    if (strcmp(m->scale, "log2") != 0) continue;
    text_print(out, TEXT_HTML, "<tr><td>%s<td>%s<td>%s \u2212 %s<td class=\"num\">%s", m->task, m->cost, m->method_a,
               m->method_b, number_points(m->margin, n[0]));
    if (isfinite(m->margin))
      text_print(out, TEXT_HTML, "<td class=\"num\">%s to %s<td class=\"num\">%s \u2013 %s",
                 number_points(m->low, n[1]), number_points(m->high, n[2]), number_cost(m->cost, m->x_low, n[3]),
                 number_cost(m->cost, m->x_high, n[4]));
    else
      g_string_append(out, "<td><td>");
    text_print(out, TEXT_HTML, "<td>%s", verdict(m));
  }
  g_string_append(out, "</tbody></table></div></section>\n");
}

void page_provenance(GString *out, const ResultsSummary *summary) {
  g_string_append(out, "<section class=\"provenance\"><h2>Provenance</h2><div "
                       "class=\"scroll\"><table><thead><tr><th>method<th class=\"num\">CR<th>model"
                       "<th>fingerprint (SHA-256)<th>policy<th>sampling<th class=\"num\">layers \u00d7 KV heads<th "
                       "class=\"num\">bytes an item"
                       "</thead><tbody>");
  for (guint i = 0; i < summary->n_methods; i++) {
    const struct ResultsMethodInfo *m = &summary->method[i];
    char cr[NUMBER_SIZE];
    text_print(out, TEXT_HTML,
               "<tr><td>%s<td class=\"num\">%s<td>%s<td class=\"hash\">%s<td>%s<td>T %g, top-p %g, top-k %d<td "
               "class=\"num\">%d \u00d7 %d<td class=\"num\">%u",
               m->name, number_plain(m->cr, cr), m->model, m->fingerprint, m->policy, (double)m->temperature,
               (double)m->top_p, m->top_k, m->layers, m->kv_heads, (guint)m->item_bytes);
  }
  g_string_append(out, "</tbody></table></div><dl>");
  for (guint i = 0; i < summary->n_tasks; i++) {
    const ResultsTaskInfo *t = &summary->task[i];
    text_print(out, TEXT_HTML, "<dt>%s<dd>%s; prompt style %s; grader %s", t->name, t->source, t->style, t->grader);
  }
  char seed[32];
  g_snprintf(seed, sizeof seed, "%" G_GUINT64_FORMAT, summary->info.seed);
  text_print(out, TEXT_HTML,
             "<dt>seed<dd>%s<dt>program<dd>hyperscale "
             "%s<dt>machine<dd>%s<dt>begun<dd>%s<dt>plan<dd><pre>%s</pre></dl></section>\n",
             seed, summary->info.version, summary->info.machine, summary->info.created, summary->info.plan);
}
