/* The thread browser: what the models wrote, from a sample of the threads. It works without the script, which adds a
 * filter.
 *
 * However many threads and however long their texts, the section stays small: SAMPLE_PROBLEMS problems of each task,
 * spread evenly over it, SAMPLE_THREADS threads of each under every method, at most TEXT_LIMIT bytes of each text
 * and TOTAL_LIMIT in all. */
#include <string.h>

#include "reports/page.h"
#include "reports/surface.h"
#include "reports/svg.h"
#include "reports/text.h"

#define SAMPLE_PROBLEMS 6
#define SAMPLE_THREADS 2
#define TEXT_LIMIT (24 << 10)
#define TOTAL_LIMIT (8 << 20)
#define VERDICT_LIMIT (2 << 10) /* of an answer or a reason */

/* Appends at most TEXT_LIMIT bytes: the beginning, what was left out, the end. */
static void append_text(GString *out, const char *text, gsize length) {
  g_string_append(out, "<pre>\n"); /* a parser drops this line feed, not one of the text's */
  if (length <= TEXT_LIMIT) {
    report_text_append(out, TEXT_HTML, text, (gssize)length);
  } else {
    gsize head = report_text_cut(text, length, TEXT_LIMIT * 2 / 3), tail = length - TEXT_LIMIT / 3;
    while (tail < length && (text[tail] & 0xc0) == 0x80) tail++;
    report_text_append(out, TEXT_HTML, text, (gssize)head);
    g_autofree char *left_out = g_strdup_printf("%" G_GSIZE_FORMAT, tail - head);
    report_html(out, "<span class=\"cut\">\n[%s bytes left out]\n</span>", left_out);
    report_text_append(out, TEXT_HTML, text + tail, (gssize)(length - tail));
  }
  g_string_append(out, "</pre>");
}

/* The last "</think>" of a text that may hold NUL. */
static const char *end_of_thinking(const char *text, gsize length) {
  static const char mark[] = "</think>";
  gsize size = sizeof mark - 1;
  for (const char *p = text + length; length >= size && p - size >= text; p--)
    if (memcmp(p - size, mark, size) == 0) return p;
  return NULL;
}

static void append_completion(GString *out, const ResultsText *text) {
  const char *answer = end_of_thinking(text->text, text->text_length);
  gboolean open = !answer && g_str_has_prefix(text->text, "<think>");
  gsize thinking = answer ? (gsize)(answer - text->text) : open ? text->text_length : 0;
  if (thinking) {
    report_html(out, "<details class=\"part\"><summary>Thinking%s</summary>", open ? ", never closed" : "");
    append_text(out, text->text, thinking);
    g_string_append(out, "</details>");
  }
  while (thinking < text->text_length && text->text[thinking] == '\n') thinking++;
  if (thinking < text->text_length) append_text(out, text->text + thinking, text->text_length - thinking);
}

/* How many KV items the thread held at each step, against what it would hold without eviction. */
static void append_cache(GString *out, const ResultsText *text, const ResultsMethodInfo *method) {
  const double width = 640, height = 90, heads = (double)method->layers * method->kv_heads;
  double most = (double)text->prompt_length + text->n_tokens - 1, last = 0;
  int stride = MAX(1, text->n_tokens / 160);
  if (text->n_tokens < 2 || !text->live || heads < 1) return;
  report_html(out,
              "<figure class=\"cache\"><svg viewBox=\"0 0 %.0f %.0f\" preserveAspectRatio=\"none\"><path "
              "class=\"dense\" d=\"M0,%.1fL%.0f,0\"/>"
              "<path class=\"line\" d=\"",
              width, height, height * (1 - text->prompt_length / most), width);
  for (int i = 0; i < text->n_tokens; i += stride) {
    last = (double)text->live[i] / heads;
    g_string_append_c(out, i ? 'L' : 'M');
    report_html(out, "%.1f,%.1f", width * i / (text->n_tokens - 1), height * (1 - MIN(last / most, 1)));
  }
  last = (double)text->live[text->n_tokens - 1] / heads;
  char held[NUMBER_SIZE], dense[NUMBER_SIZE];
  report_html(out,
              "\"/></svg><figcaption>KV items held at each step, averaged over layers and heads: %s at the end, %s "
              "without eviction (dashed)."
              "</figcaption></figure>",
              report_number_count(last, held), report_number_count(most, dense));
}

/* The outcome's place in report_surface_outcomes. A thread that ran out of tokens is truncated whatever it says. */
static guint outcome_index(const ResultsText *text) {
  static const char *const stored[] = {"correct", "wrong", "no_answer", "truncated", "error"};
  if (text->finish == RESULTS_FINISH_ERROR) return 4;
  if (text->finish == RESULTS_FINISH_LENGTH) return 3;
  guint i = 0;
  while (i < G_N_ELEMENTS(stored) && (!text->outcome || strcmp(stored[i], text->outcome) != 0)) i++;
  return i;
}

static void append_verdict(GString *out, const ResultsText *text) {
  const struct {
    const char *name, *value;
  } rows[] = {{"answer", text->answer},          {"gold", text->gold},         {"found by", text->rule},
              {"grader's reason", text->detail}, {"official", text->official}, {"real", text->real}};
  g_string_append(out, "<dl>");
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
    if (rows[i].value && *rows[i].value) {
      gsize length = strlen(rows[i].value);
      report_html(out, "<dt>%s<dd>", rows[i].name);
      report_text_append(out, TEXT_HTML, rows[i].value, (gssize)report_text_cut(rows[i].value, length, VERDICT_LIMIT));
      if (length > VERDICT_LIMIT) g_string_append(out, "\u2026");
    }
  g_string_append(out, "</dl>");
}

static void append_texts(GString *out, const ResultsText *text) {
  if (!text->text) {
    g_string_append(out, "<p class=\"note\">This store holds no texts.</p>");
    return;
  }
  if (!text->prompt_text) {
    g_string_append(
        out, "<p class=\"note\">The authors of this data set ask that its questions are not shown in plain text; the "
             "model's words would quote them.</p>");
    return;
  }
  report_html(out, "<details class=\"part\"><summary>Prompt, %d tokens</summary>", text->prompt_length);
  append_text(out, text->prompt_text, strlen(text->prompt_text));
  g_string_append(out, "</details>");
  append_completion(out, text);
}

static void append_thread(GString *out, const ResultsText *text, const ResultsMethodInfo *method, guint series,
                          gboolean with_texts) {
  char cr[NUMBER_SIZE];
  guint outcome = outcome_index(text);
  const char *name = report_surface_outcomes[outcome];
  report_number_plain(text->cr, cr);
  report_html(out,
              "<details class=\"thread m%u\" data-task=\"%s\" data-problem=\"%s\" data-method=\"%s %s\u00d7\" "
              "data-outcome=\"%s\"><summary>"
              "<svg class=\"swatch\" viewBox=\"0 0 12 12\"><circle class=\"o%u\" cx=\"6\" cy=\"6\" r=\"6\"/></svg>"
              "<span>%s</span><span>%s</span><span>%s %s\u00d7</span><span>thread %d</span><span>%d "
              "tokens</span><b>%s</b></summary>",
              series % SVG_COLOURS, text->task, text->problem_id, text->method, cr, name, outcome, text->task,
              text->problem_id, text->method, cr, text->thread, text->n_tokens, name);
  append_verdict(out, text);
  if (with_texts)
    append_texts(out, text);
  else
    g_string_append(out, "<p class=\"note\">Left out: this report holds as much text as it may.</p>");
  append_cache(out, text, method);
  g_string_append(out, "</details>\n");
}

static const ResultsMethodInfo *find_method(const ResultsSummary *summary, gint64 id) {
  for (guint m = 0; m < summary->n_methods; m++)
    if (summary->method[m].id == id) return &summary->method[m];
  return NULL;
}

static gboolean has_task(const ResultsSummary *summary, const char *task) {
  for (guint t = 0; t < summary->n_tasks; t++)
    if (strcmp(summary->task[t].name, task) == 0) return TRUE;
  return FALSE;
}

gboolean report_page_threads(GString *out, const ResultsSummary *summary, ResultsStore *store, GError **error) {
  g_autoptr(GArray) sample = results_sample(store, summary->run, SAMPLE_PROBLEMS, SAMPLE_THREADS, error);
  if (!sample) return FALSE;
  report_html(out,
              "<section class=\"threads\" id=\"threads\"><h2>Threads</h2><p class=\"note\">A sample of what the models "
              "wrote: %d "
              "problems of each task, "
              "spread evenly over it, and the first %d threads of each under every method.</p>",
              SAMPLE_PROBLEMS, SAMPLE_THREADS);
  gsize begin = out->len;
  for (guint i = 0; i < sample->len; i++) {
    const ResultsThreadName *name = &g_array_index(sample, ResultsThreadName, i);
    const ResultsMethodInfo *method = find_method(summary, name->method);
    ResultsText text;
    if (!method || !has_task(summary, name->task)) continue;
    if (!results_text(store, name->method, name->task, name->problem_id, name->thread, &text, error)) return FALSE;
    append_thread(out, &text, method, report_figure_method_index(summary, method->name),
                  out->len - begin < TOTAL_LIMIT);
    results_text_clear(&text);
  }
  if (!sample->len) g_string_append(out, "<p>No thread has run yet.</p>");
  g_string_append(out, "</section>\n");
  return TRUE;
}
