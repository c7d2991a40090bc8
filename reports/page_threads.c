/* The thread browser: what the models wrote, from a sample of the threads, problem by problem. It works without the
 * script, which adds a filter.
 *
 * However many threads and however long their texts, the section stays small: SAMPLE_PROBLEMS problems of each task
 * and SAMPLE_THREADS threads of each under every method unless the options ask for others, at most TEXT_LIMIT bytes of
 * each text and TOTAL_LIMIT in all. */
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
              "<span>%s %s\u00d7</span><span>thread %d</span><span>%d "
              "tokens</span><b>%s</b></summary>",
              series % SVG_COLOURS, text->task, text->problem_id, text->method, cr, name, outcome, text->method, cr,
              text->thread, text->n_tokens, name);
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

/* Threads of one problem, on their way into the page: a dot for each beside the problem's name, then the threads. */
typedef struct {
  const ResultsThreadName *first; /* or NULL */
  GString *dots, *threads;
  gint64 method; /* of the last dot */
} Group;

static void close_group(GString *out, Group *group) {
  if (group->first)
    report_html(out, "<details class=\"problem\"><summary><span>%s</span><span>%s</span>", group->first->task,
                group->first->problem_id);
  if (group->first)
    g_string_append_printf(out, "%s</span></summary>%s</details>\n", group->dots->str, group->threads->str);
  g_string_truncate(group->dots, 0);
  g_string_truncate(group->threads, 0);
  group->method = 0;
}

static void add_dot(Group *group, const ResultsText *text, const ResultsMethodInfo *method, guint series) {
  char cr[NUMBER_SIZE];
  guint outcome = outcome_index(text);
  if (group->method != method->id) {
    if (group->method) g_string_append(group->dots, "</span>");
    report_html(group->dots, "<span class=\"dots m%u\"><b>%s</b> %s\u00d7 ", series % SVG_COLOURS, method->name,
                report_number_plain(method->cr, cr));
  }
  group->method = method->id;
  report_html(group->dots,
              "<svg class=\"swatch\" viewBox=\"0 0 12 12\" role=\"img\" aria-label=\"%s\"><circle class=\"o%u\" "
              "cx=\"6\" cy=\"6\" r=\"6\"/></svg>",
              report_surface_outcomes[outcome], outcome);
}

static gboolean write_sample(GString *out, const ResultsSummary *summary, ResultsStore *store, const GArray *sample,
                             GError **error) {
  g_autoptr(GString) dots = g_string_new(NULL), threads = g_string_new(NULL);
  Group group = {.dots = dots, .threads = threads};
  gsize written = 0;
  for (guint i = 0; i < sample->len; i++) {
    const ResultsThreadName *name = &g_array_index(sample, ResultsThreadName, i);
    const ResultsMethodInfo *method = find_method(summary, name->method);
    ResultsText text;
    if (!method || !report_page_has_task(summary, name->task)) continue;
    if (!results_text(store, name->method, name->task, name->problem_id, name->thread, &text, error)) return FALSE;
    if (!group.first || strcmp(group.first->task, name->task) != 0 ||
        strcmp(group.first->problem_id, name->problem_id) != 0) {
      close_group(out, &group);
      group.first = name;
    }
    guint series = report_figure_method_index(summary, method->name);
    gsize before = threads->len;
    add_dot(&group, &text, method, series);
    append_thread(threads, &text, method, series, written < TOTAL_LIMIT);
    written += threads->len - before;
    results_text_clear(&text);
  }
  close_group(out, &group);
  return TRUE;
}

gboolean report_page_threads(GString *out, const ResultsSummary *summary, ResultsStore *store,
                             const ReportOptions *options, GError **error) {
  int problems = options->sample_problems ? options->sample_problems : SAMPLE_PROBLEMS;
  int threads = options->sample_threads ? options->sample_threads : SAMPLE_THREADS;
  g_autoptr(GArray) sample = results_sample(store, summary->run, problems, threads, error);
  if (!sample) return FALSE;
  report_html(out,
              "<section class=\"threads\" id=\"threads\"><h2>Threads</h2><p class=\"note\">A sample of what the models "
              "wrote, a dot a thread: at most %d problems of each task, half of them those on which the methods differ "
              "most, the others spread evenly, and the first %d threads of each under every method. For more: "
              "<code>hyperscale report --problems N --samples N</code>; all of them: the store\u2019s view "
              "<code>threads</code> and table <code>completion</code>.</p>",
              problems, threads);
  if (!write_sample(out, summary, store, sample, error)) return FALSE;
  if (!sample->len) g_string_append(out, "<p>No thread has run yet.</p>");
  g_string_append(out, "</section>\n");
  return TRUE;
}
