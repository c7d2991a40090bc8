/* Grading passes over the store. */
#include "harness/verdicts.h"

#include <string.h>

typedef struct {
  gint64 generation, problem;
  guint index; /* of the problem in the data set */
  char *text;
  gsize length;
} Waiting;

typedef struct {
  const Verdicts *verdicts;
  const Task *task;
  GArray *waiting; /* Waiting */
  guint limit;
} Walk;

typedef struct {
  Verdicts *verdicts;
  const Task *task;
  gint64 generation, problem;
  TestSet *tests;
} Out;

void verdicts_init(Verdicts *verdicts, Batch *batch, const GradeProgramOptions *options) {
  *verdicts = (Verdicts){.batch = batch, .programs_options = *options};
  verdicts->tried = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  verdicts->tests = test_sets_new();
}

void verdicts_clear(Verdicts *verdicts) {
  for (guint i = 0; i < G_N_ELEMENTS(verdicts->programs); i++)
    g_clear_pointer(&verdicts->programs[i], grade_programs_close);
  g_clear_error(&verdicts->sandbox);
  g_clear_error(&verdicts->failed);
  g_clear_pointer(&verdicts->tried, g_hash_table_unref);
  g_clear_pointer(&verdicts->tests, g_hash_table_unref);
}

static void store_verdict(Verdicts *verdicts, const Task *task, gint64 generation, gint64 problem,
                          const GradeVerdict *verdict) {
  gboolean code = dataset_kind(task->dataset) == DATASET_CODE;
  const GradePrograms *programs = verdicts->programs[task_counts_real(task)];
  ResultsGrade grade = {
      .outcome = grade_outcome_name(verdict->outcome),
      .answer = verdict->answer,
      .rule = verdict->rule,
      .detail = verdict->detail,
      .official = code ? grade_outcome_name(verdict->official) : NULL,
      .real = code ? grade_outcome_name(verdict->real) : NULL,
      .grader = task_grader_version(task),
      .sandbox = code && programs ? grade_programs_level(programs) : NULL,
  };
  verdicts->graded++;
  verdicts->ungraded += verdict->outcome == GRADE_UNGRADED;
  if (verdicts->failed) return;
  if (batch_write(verdicts->batch, &verdicts->failed))
    results_grade_add(verdicts->batch->store, generation, problem, &grade, &verdicts->failed);
}

static char *pair_key(gint64 generation, gint64 problem) {
  return g_strdup_printf("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, generation, problem);
}

static gboolean collect_thread(const ResultsThread *thread, gpointer user_data) {
  Walk *walk = user_data;
  if (thread->finish != RESULTS_FINISH_STOP) return TRUE; /* truncated or failed: nothing to grade */
  int index = task_problem_index(walk->task, thread->problem_id);
  g_autofree char *key = pair_key(thread->generation, thread->problem);
  if (index < 0 || g_hash_table_contains(walk->verdicts->tried, key)) return TRUE;
  Waiting waiting = {thread->generation, thread->problem, (guint)index,
                     g_memdup2(thread->text ? thread->text : "", thread->text_length), thread->text_length};
  g_array_append_val(walk->waiting, waiting);
  return !walk->limit || walk->waiting->len < walk->limit;
}

static void program_done(const GradeVerdict *verdict, void *tag, gpointer user_data) {
  Out *out = tag;
  store_verdict(out->verdicts, out->task, out->generation, out->problem, verdict);
  test_sets_release(out->verdicts->tests, out->tests);
  g_free(out);
}

/* What cannot be run is missing data: stored as ungraded, with the reason. */
static void store_ungraded(Verdicts *verdicts, const Task *task, const Waiting *waiting, const char *rule,
                           const GError *why) {
  GradeVerdict verdict;
  task_ungraded(rule, why, &verdict);
  store_verdict(verdicts, task, waiting->generation, waiting->problem, &verdict);
  grade_verdict_clear(&verdict);
}

static void queue_program(Verdicts *verdicts, Task *task, const Waiting *waiting) {
  gboolean real = task_counts_real(task);
  g_autoptr(GError) unreadable = NULL;
  if (!verdicts->programs[real] && !verdicts->sandbox) {
    GradeProgramOptions options = verdicts->programs_options;
    options.mode = real ? "real" : "official";
    verdicts->programs[real] = grade_programs_open(&options, &verdicts->sandbox);
  }
  if (!verdicts->programs[real]) {
    store_ungraded(verdicts, task, waiting, "no-sandbox", verdicts->sandbox);
    return;
  }
  TestSet *set = test_sets_use(verdicts->tests, task, waiting->index, &unreadable);
  if (!set) {
    store_ungraded(verdicts, task, waiting, "no-tests", unreadable);
    return;
  }
  Out *out = g_new(Out, 1);
  *out = (Out){verdicts, task, waiting->generation, waiting->problem, set};
  GradeProgram program = {
      .text = waiting->text,
      .length = waiting->length,
      .tests = set->tests,
      .n_tests = set->n,
      .function_name = dataset_problem(task->dataset, waiting->index)->function_name,
      .tag = out,
  };
  grade_programs_submit(verdicts->programs[real], &program, program_done, NULL);
}

gboolean verdicts_pass(Verdicts *verdicts, gint64 run, Task *task, guint limit, GError **error) {
  gboolean code = dataset_kind(task->dataset) == DATASET_CODE;
  g_autoptr(GArray) waiting = g_array_new(FALSE, FALSE, sizeof(Waiting));
  Walk walk = {verdicts, task, waiting, limit};
  gboolean ok = results_threads(verdicts->batch->store, run, task_name(task), task_grader_version(task), collect_thread,
                                &walk, error);
  for (guint i = 0; i < waiting->len; i++) {
    Waiting *item = &g_array_index(waiting, Waiting, i);
    if (ok) g_hash_table_add(verdicts->tried, pair_key(item->generation, item->problem));
    if (ok && code) queue_program(verdicts, task, item);
    if (ok && !code) {
      GradeVerdict verdict = {0};
      task_grade_text(task, item->index, item->text, item->length, &verdict);
      store_verdict(verdicts, task, item->generation, item->problem, &verdict);
      grade_verdict_clear(&verdict);
    }
    g_free(item->text);
  }
  guint out;
  return ok && verdicts_take(verdicts, &out, error);
}

gboolean verdicts_take(Verdicts *verdicts, guint *out, GError **error) {
  *out = 0;
  for (guint i = 0; i < G_N_ELEMENTS(verdicts->programs); i++)
    if (verdicts->programs[i]) *out += grade_programs_poll(verdicts->programs[i]);
  if (verdicts->failed) {
    g_propagate_error(error, g_steal_pointer(&verdicts->failed));
    return FALSE;
  }
  return batch_commit(verdicts->batch, *out == 0, error);
}
