#include "results/differences.h"

#include <string.h>

#include "results/store.h"

const ResultsTaskInfo *results_find_task(const ResultsSummary *summary, const char *name) {
  for (guint t = 0; t < summary->n_tasks; t++)
    if (g_str_equal(summary->task[t].name, name)) return &summary->task[t];
  return NULL;
}

typedef struct {
  GStringChunk *strings;
  GArray *differences;
  const char *task;
} List;

/* Once: several methods may differ in the same way. */
static void add(const List *list, const char *what, const char *a, const char *b, gboolean blocks) {
  for (guint i = 0; i < list->differences->len; i++) {
    const ResultsDifference *known = &g_array_index(list->differences, ResultsDifference, i);
    if (g_str_equal(known->what, what) && g_strcmp0(known->task, list->task) == 0 && g_str_equal(known->a, a) &&
        g_str_equal(known->b, b))
      return;
  }
  ResultsDifference difference = {.what = what,
                                  .task = list->task ? g_string_chunk_insert_const(list->strings, list->task) : NULL,
                                  .a = g_string_chunk_insert_const(list->strings, a),
                                  .b = g_string_chunk_insert_const(list->strings, b),
                                  .blocks = blocks};
  g_array_append_val(list->differences, difference);
}

static void compare(const List *list, const char *what, const char *a, const char *b, gboolean blocks) {
  if (g_strcmp0(a, b) != 0) add(list, what, a ? a : "", b ? b : "", blocks);
}

void results_run_differences(const ResultsReadSide *a, const ResultsReadSide *b, GStringChunk *strings,
                             GArray *differences) {
  const ResultsRunInfo *p = &a->summary->info, *q = &b->summary->info;
  List list = {strings, differences, NULL};
  g_autofree char *seed_a = g_strdup_printf("%" G_GUINT64_FORMAT, p->seed),
                  *seed_b = g_strdup_printf("%" G_GUINT64_FORMAT, q->seed);
  compare(&list, "seed", seed_a, seed_b, FALSE);
  compare(&list, "version", p->version, q->version, FALSE);
  compare(&list, "machine", p->machine, q->machine, FALSE);
  compare(&list, "partial", p->partial ? "partial" : "whole", q->partial ? "partial" : "whole", FALSE);
}

void results_method_differences(const ResultsMethodInfo *a, const ResultsMethodInfo *b, GStringChunk *strings,
                                GArray *differences) {
  List list = {strings, differences, NULL};
  g_autofree char *sampling_a =
      g_strdup_printf("temperature %g, top-p %g, top-k %d", (double)a->temperature, (double)a->top_p, a->top_k);
  g_autofree char *sampling_b =
      g_strdup_printf("temperature %g, top-p %g, top-k %d", (double)b->temperature, (double)b->top_p, b->top_k);
  g_autofree char *model_a = g_strdup_printf("%s (%.12s)", a->model, a->fingerprint);
  g_autofree char *model_b = g_strdup_printf("%s (%.12s)", b->model, b->fingerprint);
  if (!g_str_equal(a->fingerprint, b->fingerprint)) add(&list, "model", model_a, model_b, FALSE);
  compare(&list, "policy", a->policy, b->policy, FALSE);
  compare(&list, "sampling", sampling_a, sampling_b, FALSE);
}

/* ---- Tasks ------------------------------------------------------------------------------------------------------- */

/* What two sides must agree on about a problem. */
typedef struct {
  char *data;      /* fingerprint, order of the options, gold */
  GHashTable *ids; /* of prompts, a set: one for each tokenizer */
} Problem;

static void problem_free(gpointer data) {
  Problem *problem = data;
  g_free(problem->data);
  g_hash_table_destroy(problem->ids);
  g_free(problem);
}

static GHashTable *read_problems(const ResultsReadSide *side, const char *task, GError **error) {
  gboolean ok;
  g_autoptr(sqlite3_stmt) rows = results_db_prepare(
      side->store, error,
      "SELECT problem.name, fingerprint || char(10) || coalesce(option_order, '') || char(10) || coalesce(gold, ''), "
      "prompt_sha256 FROM task JOIN problem ON problem.task = task.id WHERE task.run = ? AND task.name = ? "
      "ORDER BY problem.id",
      "is", side->summary->run, task);
  if (!rows) return NULL;
  g_autoptr(GHashTable) problems = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, problem_free);
  while (results_db_next(side->store, rows, &ok, error)) {
    Problem *problem = g_hash_table_lookup(problems, results_column_string(rows, 0));
    if (!problem) {
      problem = g_new(Problem, 1);
      *problem = (Problem){.data = g_strdup(results_column_string(rows, 1)),
                           .ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
      g_hash_table_insert(problems, g_strdup(results_column_string(rows, 0)), problem);
    }
    g_hash_table_add(problem->ids, g_strdup(results_column_string(rows, 2)));
  }
  return ok ? g_steal_pointer(&problems) : NULL;
}

static gboolean same_prompt(const Problem *a, const Problem *b) {
  GHashTableIter ids;
  gpointer id;
  g_hash_table_iter_init(&ids, a->ids);
  while (g_hash_table_iter_next(&ids, &id, NULL))
    if (g_hash_table_contains(b->ids, id)) return TRUE;
  return FALSE;
}

/* Prompts can be held against each other token by token where both sides put them to one model. */
static gboolean share_model(const ResultsReadSide *a, const ResultsReadSide *b) {
  for (guint i = 0; i < a->summary->n_methods; i++)
    for (guint j = 0; j < b->summary->n_methods; j++)
      if (g_str_equal(a->summary->method[i].fingerprint, b->summary->method[j].fingerprint)) return TRUE;
  return FALSE;
}

static void add_count(const List *list, const char *what, guint count, guint shared, const char *example) {
  g_autofree char *text = g_strdup_printf("%u of %u shared problems differ, %s among them", count, shared, example);
  if (count) add(list, what, text, text, TRUE);
}

static void compare_problems(const List *list, GHashTable *a, GHashTable *b, gboolean prompts) {
  GHashTableIter problems;
  gpointer name, problem;
  guint shared = 0, data = 0, prompt = 0;
  const char *other_data = NULL, *other_prompt = NULL;
  g_hash_table_iter_init(&problems, a);
  while (g_hash_table_iter_next(&problems, &name, &problem)) {
    const Problem *p = problem, *q = g_hash_table_lookup(b, name);
    if (!q) continue;
    shared++;
    if (!g_str_equal(p->data, q->data)) {
      data++;
      if (!other_data || strcmp(name, other_data) < 0) other_data = name;
    } else if (prompts && !same_prompt(p, q)) {
      prompt++;
      if (!other_prompt || strcmp(name, other_prompt) < 0) other_prompt = name;
    }
  }
  add_count(list, "data", data, shared, other_data);
  add_count(list, "prompt", prompt, shared, other_prompt);
  if (shared < g_hash_table_size(a) || shared < g_hash_table_size(b)) {
    g_autofree char *count_a = g_strdup_printf("%u problems, %u of them shared", g_hash_table_size(a), shared);
    g_autofree char *count_b = g_strdup_printf("%u problems, %u of them shared", g_hash_table_size(b), shared);
    add(list, "problems", count_a, count_b, FALSE);
  }
}

gboolean results_task_differences(const ResultsReadSide *a, const ResultsReadSide *b, const char *task,
                                  GStringChunk *strings, GArray *differences, GError **error) {
  const ResultsTaskInfo *p = results_find_task(a->summary, task), *q = results_find_task(b->summary, task);
  List list = {strings, differences, task};
  compare(&list, "aggregate", p->aggregate, q->aggregate, TRUE);
  compare(&list, "grader", p->grader, q->grader, TRUE);
  compare(&list, "prompt", p->style, q->style, TRUE);
  g_autofree char *threads_a = g_strdup_printf("%d", p->max_threads),
                  *threads_b = g_strdup_printf("%d", q->max_threads);
  compare(&list, "threads", threads_a, threads_b, FALSE);
  if (a->store == b->store && a->summary->run == b->summary->run) return TRUE;
  g_autoptr(GHashTable) problems_a = read_problems(a, task, error);
  g_autoptr(GHashTable) problems_b = problems_a ? read_problems(b, task, error) : NULL;
  if (!problems_b) return FALSE;
  compare_problems(&list, problems_a, problems_b, share_model(a, b));
  return TRUE;
}
