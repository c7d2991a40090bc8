/* The document: head with its security policy, header, warnings, sections, style and script. */
#include "reports/page.h"

#include <string.h>

#include "reports/data.h"
#include "reports/text.h"
#include "reports/warnings.h"

extern const char _binary_reports_page_css_start[], _binary_reports_page_css_end[];
extern const char _binary_reports_page_js_start[], _binary_reports_page_js_end[];

/* The source expression that allows exactly this inline style or script. */
static char *policy_hash(const char *start, const char *end) {
  g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
  guint8 digest[32];
  gsize size = sizeof digest;
  g_checksum_update(checksum, (const guchar *)start, end - start);
  g_checksum_get_digest(checksum, digest, &size);
  g_autofree char *base64 = g_base64_encode(digest, size);
  return g_strdup_printf("'sha256-%s'", base64);
}

static void write_head(GString *out, const ResultsSummary *summary) {
  g_autofree char *style = policy_hash(_binary_reports_page_css_start, _binary_reports_page_css_end);
  g_autofree char *script = policy_hash(_binary_reports_page_js_start, _binary_reports_page_js_end);
  g_string_append(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
  g_string_append_printf(
      out,
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src %s; script-src %s; "
      "base-uri 'none'; form-action 'none'\">",
      style, script);
  g_string_append(
      out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
           "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">");
  report_html(out, "<title>%s \u00b7 hyperscale</title><style>", summary->info.name);
  g_string_append_len(out, _binary_reports_page_css_start,
                      _binary_reports_page_css_end - _binary_reports_page_css_start);
  g_string_append(out, "</style></head>\n");
}

/* Links to the sections that the page has. */
static void write_contents(GString *out, const ResultsSummary *summary, gboolean splits, gboolean regrades,
                           gboolean threads, const ReportOptions *options) {
  g_string_append(out, "<nav aria-label=\"Sections\">");
  if (summary->n_margins) g_string_append(out, "<a href=\"#margins\">Margins</a>");
  for (guint i = 0; i < summary->n_tasks; i++)
    report_html(out, "<a href=\"#task-%u\">%s</a>", i, summary->task[i].name);
  if (options->paper) g_string_append(out, "<a href=\"#paper\">Paper</a>");
  if (options->n_evictions) g_string_append(out, "<a href=\"#evictions\">Evictions</a>");
  if (splits) g_string_append(out, "<a href=\"#splits\">Programs</a>");
  if (regrades) g_string_append(out, "<a href=\"#regrades\">Regrades</a>");
  if (threads) g_string_append(out, "<a href=\"#threads\">Threads</a>");
  g_string_append(out, "<a href=\"#provenance\">Provenance</a></nav>");
}

/* Several methods may run on one model: vanilla and a window, or two windows. */
static guint count_models(const ResultsSummary *summary) {
  guint models = 0;
  for (guint m = 0; m < summary->n_methods; m++) {
    guint first = 0;
    while (g_strcmp0(summary->method[first].fingerprint, summary->method[m].fingerprint) != 0) first++;
    models += first == m;
  }
  return models;
}

static void write_header(GString *out, const ResultsSummary *summary, gboolean splits, gboolean regrades,
                         gboolean threads, const ReportOptions *options) {
  report_html(out, "<header><p class=\"kicker\">hyperscale report</p><h1>%s</h1><p class=\"lead\">",
              summary->info.name);
  for (guint i = 0; i < summary->n_tasks; i++)
    report_html(out, "%s%s (%d problem%s)", i ? ", " : "", summary->task[i].name, summary->task[i].problems,
                summary->task[i].problems == 1 ? "" : "s");
  g_autofree char *day = g_strndup(summary->info.created ? summary->info.created : "", strlen("2026-01-31"));
  guint models = count_models(summary);
  report_html(out, " \u00b7 %u model%s \u00b7 %s</p>", models, models == 1 ? "" : "s", day);
  write_contents(out, summary, splits, regrades, threads, options);
  g_string_append(out, "</header>\n");
  g_autoptr(GPtrArray) warnings = report_warnings(summary);
  for (guint i = 0; i < warnings->len; i++)
    report_html(out, "<p class=\"warning\" role=\"note\">%s</p>", (const char *)warnings->pdata[i]);
}

gboolean report_page_write(const ResultsSummary *summary, ResultsStore *store, const ReportOptions *options,
                           GString *out, GError **error) {
  const gboolean threads = options->texts && store;
  g_autoptr(GString) regrades = g_string_new(NULL), splits = g_string_new(NULL);
  if (store &&
      !(report_page_splits(splits, summary, store, error) && report_page_regrades(regrades, summary, store, error)))
    return FALSE;
  write_head(out, summary);
  g_string_append(out, "<body><main>\n");
  write_header(out, summary, splits->len > 0, regrades->len > 0, threads, options);
  report_page_margins(out, summary);
  for (guint i = 0; i < summary->n_tasks; i++) report_page_task(out, summary, options, i);
  if (options->paper) report_page_paper(out, summary);
  report_page_evictions(out, summary, options->evictions, options->n_evictions);
  g_string_append_len(out, splits->str, (gssize)splits->len);
  g_string_append_len(out, regrades->str, (gssize)regrades->len);
  if (threads && !report_page_threads(out, summary, store, options, error)) return FALSE;
  report_page_provenance(out, summary);
  g_string_append(out, "</main>\n<script type=\"application/json\" id=\"data\">");
  report_text_append_json(out, report_data_summary(summary), 6, TRUE);
  g_string_append(out, "</script>\n<script>");
  g_string_append_len(out, _binary_reports_page_js_start, _binary_reports_page_js_end - _binary_reports_page_js_start);
  g_string_append(out, "</script></body></html>\n");
  return TRUE;
}
