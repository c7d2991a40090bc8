/* Reports of a store whose texts attack their reader: markup, control characters, bidirectional marks, NUL, a line
 * of 10 MB. With REPORT_STORE_OUT set to a folder the store and its page stay there, for the browser's test. */
#include <glib/gstdio.h>
#include <string.h>

#include "reports/report.h"

#define LONG_LINE (10 << 20)

static const char attack[] =
    "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\"></pre></details>"
    "<style>body{display:none}</style>'\"><svg/"
    "onload=alert(1)>\x1b[31m\x1b]0;t\x07\u202egnp.exe\u2066\u200b\xff\xfe\r\n--></script>";

static const ResultsMethod methods[] = {
    {"vanilla", {"0011", "pocket-reasoner", 4, 2, 256}, "vanilla", 1, 0.6f, 0.95f, 0},
    {"dms", {"2233", "pocket-reasoner-dms-4x", 4, 2, 256}, "dms", 4, 0.6f, 0.95f, 0},
};

enum { THREADS = 4, TOKENS = 400 };
enum { PLAIN, LONG_OR_NUL, ATTACK, OPEN, VARIANTS };

/* Every problem's threads hold every variant, beginning with another one. */
static int variant(int thread, gint64 problem_row) {
  return (int)((thread + problem_row - 1) % VARIANTS);
}

/* One thread: its text and a trace that grows by an item a step, under dms by a quarter of one. */
static void add_thread(ResultsStore *store, guint m, gint64 method, gint64 problem, const char *id, int thread,
                       const char *text, gsize length) {
  static const int32_t prompt[] = {1, 2, 3};
  g_autoptr(GError) error = NULL;
  int32_t tokens[TOKENS];
  uint64_t live[TOKENS];
  for (int i = 0; i < TOKENS; i++) {
    tokens[i] = i % 97;
    live[i] = m && i > 16 ? (uint64_t)(8 * 20 + 2 * (i - 16)) : (uint64_t)(8 * (3 + i));
  }
  g_autofree char *key = results_generation_key(&methods[m], prompt, 3, 1, "aime24", id, thread);
  ResultsGeneration generation = {.tokens = tokens,
                                  .live = live,
                                  .n_tokens = TOKENS,
                                  .max_new_tokens = TOKENS,
                                  .finish =
                                      variant(thread, problem) == OPEN ? RESULTS_FINISH_LENGTH : RESULTS_FINISH_STOP,
                                  .text = text,
                                  .text_length = length,
                                  .device = "cpu f32"};
  results_generation_add(store, method, problem, thread, key, &generation, &error);
  g_assert_no_error(error);
}

static gboolean collect_thread(const ResultsThread *thread, gpointer user_data) {
  ResultsThread ids = {.generation = thread->generation, .problem = thread->problem, .thread = thread->thread};
  g_array_append_val((GArray *)user_data, ids);
  return TRUE;
}

static void grade_threads(ResultsStore *store, gint64 run) {
  static const ResultsGrade grades[] = {
      {.outcome = "correct", .answer = "42", .rule = "boxed", .grader = "aime 1"},
      {.outcome = "wrong", .answer = attack, .rule = "boxed", .detail = attack, .grader = "aime 1"},
      {.outcome = "no_answer", .detail = "no closed \\boxed", .grader = "aime 1"}};
  static const ResultsGrade before = {.outcome = "wrong", .answer = attack, .rule = "last", .grader = "aime 0"};
  g_autoptr(GError) error = NULL;
  g_autoptr(GArray) threads = g_array_new(FALSE, FALSE, sizeof(ResultsThread));
  results_threads(store, run, NULL, NULL, collect_thread, threads, &error);
  for (guint i = 0; i < threads->len; i++) {
    const ResultsThread *t = &g_array_index(threads, ResultsThread, i);
    int which = variant(t->thread, t->problem);
    if (which == PLAIN) results_grade_add(store, t->generation, t->problem, &before, &error);
    if (which != OPEN) results_grade_add(store, t->generation, t->problem, &grades[which], &error);
  }
  g_assert_no_error(error);
}

/* A run of two methods on three problems, of which one has a hostile name and one a thread of 10 MB. */
static ResultsStore *fill_store(const char *path) {
  static const char *const ids[] = {"p1", attack, "p3"};
  static const char plain[] = "<think>\n6 x 7 = 42\n</think>\nThe answer is \\boxed{42}.",
                    open[] = "<think>\nLet me see. Let me see.";
  g_autoptr(GError) error = NULL;
  g_autofree char *with_nul = g_malloc0(sizeof attack + 8), *line = g_strnfill(LONG_LINE, 'x');
  memcpy(with_nul + 4, attack, sizeof attack);
  ResultsStore *store = results_open(path, RESULTS_WRITE, &error);
  g_assert_no_error(error);
  ResultsRun run = {.name = "hostile", .plan = attack, .version = "1.0", .machine = "{\"cpu\": \"test\"}", .seed = 1};
  gint64 id = results_run_begin(store, &run, &error), method[2];
  ResultsTask task = {"aime24", "maj", "plain", attack, "aime 1", 3, THREADS, TOKENS};
  gint64 task_id = results_task_add(store, id, &task, &error);
  for (guint m = 0; m < 2; m++) method[m] = results_method_add(store, id, &methods[m], &error);
  g_assert_true(results_begin(store, &error));
  for (guint p = 0; p < G_N_ELEMENTS(ids); p++) {
    static const int32_t prompt[] = {1, 2, 3};
    ResultsProblem row = {
        .id = ids[p], .fingerprint = "f", .gold = "42", .prompt = prompt, .prompt_length = 3, .prompt_text = attack};
    gint64 problem = results_problem_add(store, task_id, &row, &error);
    const struct {
      const char *text;
      gsize length;
    } texts[VARIANTS] = {[PLAIN] = {plain, strlen(plain)},
                         [LONG_OR_NUL] = {p == 1 ? line : with_nul, p == 1 ? LONG_LINE : sizeof attack + 8},
                         [ATTACK] = {attack, strlen(attack)},
                         [OPEN] = {open, strlen(open)}};
    for (guint m = 0; m < 2; m++)
      for (int thread = 0; thread < THREADS; thread++) {
        int which = variant(thread, problem);
        add_thread(store, m, method[m], problem, ids[p], thread, texts[which].text, texts[which].length);
      }
  }
  g_assert_true(results_commit(store, &error));
  g_assert_no_error(error);
  grade_threads(store, id);
  static const int lengths[] = {100, 200, TOKENS}, threads[] = {1, 2, THREADS};
  ResultsGrid grid = {
      .lengths = lengths, .n_lengths = 3, .threads = threads, .n_threads = 3, .bootstrap = 200, .seed = 1};
  results_derive(store, id, &grid, &error);
  g_assert_no_error(error);
  return store;
}

static void assert_harmless(const char *html, gsize length) {
  static const char *const forbidden[] = {"<script>document", "<img",   "<svg/onload", "<style>body", "\x1b",
                                          "\u202e",           "\u2066", "\r"};
  g_assert_cmpuint(strlen(html), ==, length); /* no NUL */
  g_assert_true(g_utf8_validate(html, (gssize)length, NULL));
  for (guint i = 0; i < G_N_ELEMENTS(forbidden); i++) g_assert_null(strstr(html, forbidden[i]));
}

static void test_hostile_store(void) {
  g_autoptr(GError) error = NULL;
  const char *kept = g_getenv("REPORT_STORE_OUT");
  g_autofree char *folder = kept ? g_strdup(kept) : g_dir_make_tmp("report-XXXXXX", &error);
  g_autofree char *path = g_build_filename(folder, "hostile.db", NULL),
                  *page = g_build_filename(folder, "hostile.html", NULL);
  ResultsStore *store = fill_store(path);
  ResultsSummary *summary = results_summary(store, NULL, &error);
  g_assert_no_error(error);
  g_autofree guint8 *flags = g_malloc0(4 * 2 * TOKENS);
  for (int i = 0; i < 4 * 2 * TOKENS; i++) flags[i] = (i * 2654435761u) >> 30 != 0;
  ReportEviction eviction = {.method = "dms",
                             .task = "aime24",
                             .problem_id = attack,
                             .cr = 4,
                             .layers = 4,
                             .kv_heads = 2,
                             .tokens = TOKENS,
                             .prompt_length = 3,
                             .window = 16,
                             .flags = flags};
  ResultsSide dms = {store, NULL, "dms"}, vanilla = {store, NULL, "vanilla"};
  ResultsComparison *comparison = results_compare(&dms, &vanilla, &(ResultsGrid){.bootstrap = 200}, FALSE, &error);
  g_assert_no_error(error);
  const ResultsComparison *comparisons[] = {comparison};
  ReportOptions options = {.format = "html",
                           .texts = TRUE,
                           .evictions = &eviction,
                           .n_evictions = 1,
                           .comparisons = comparisons,
                           .n_comparisons = 1};
  g_autoptr(GString) html = g_string_new(NULL);
  report_write(summary, store, &options, html, &error);
  g_assert_no_error(error);
  assert_harmless(html->str, html->len);
  g_assert_nonnull(strstr(html->str, "bytes left out]"));
  g_assert_nonnull(strstr(html->str, "Thinking, never closed"));
  g_assert_cmpuint(html->len, <, 4 << 20);
  if (kept) g_assert_true(g_file_set_contents(page, html->str, (gssize)html->len, NULL));
  results_comparison_free(comparison);
  results_summary_free(summary);
  results_close(store);
  if (kept) return;
  g_unlink(path);
  g_rmdir(folder);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/report/hostile-store", test_hostile_store);
  return g_test_run();
}
