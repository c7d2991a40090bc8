/* Tasks of a plan, opened and ready to be asked and graded. */
#include "harness/task.h"

#include <string.h>

static void task_free(gpointer data) {
  Task *task = data;
  dataset_close(task->dataset);
  g_clear_pointer(&task->selected, g_array_unref);
  g_free(task);
}

typedef struct {
  guint index;
  char *rank; /* SHA-256 of seed and id: a random order that does not depend on the file's */
} Draw;

static int compare_rank(gconstpointer a, gconstpointer b) {
  return strcmp(((const Draw *)a)->rank, ((const Draw *)b)->rank);
}
static int compare_guint(gconstpointer a, gconstpointer b) {
  return *(const guint *)a < *(const guint *)b ? -1 : *(const guint *)a > *(const guint *)b;
}

static GArray *select_problems(const Dataset *dataset, guint limit, uint64_t seed) {
  guint size = dataset_size(dataset);
  GArray *selected = g_array_new(FALSE, FALSE, sizeof(guint));
  g_autoptr(GArray) draws = g_array_new(FALSE, FALSE, sizeof(Draw));
  for (guint i = 0; i < size; i++) {
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT "/%s", seed, dataset_problem(dataset, i)->id);
    Draw draw = {i, g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1)};
    g_array_append_val(draws, draw);
  }
  if (limit && limit < size) g_array_sort(draws, compare_rank);
  for (guint i = 0; i < size; i++) {
    const Draw *draw = &g_array_index(draws, Draw, i);
    if (!limit || i < limit) g_array_append_val(selected, draw->index);
    g_free(draw->rank);
  }
  g_array_sort(selected, compare_guint);
  return selected;
}

/* Keys that would do nothing are mistakes. */
static gboolean check_keys(const PlanTask *wanted, DatasetKind kind, GError **error) {
  const char *idle = wanted->verdict && kind != DATASET_CODE     ? "verdict belongs to LiveCodeBench"
                     : wanted->options && kind != DATASET_CHOICE ? "options (their order) belongs to GPQA"
                                                                 : NULL;
  if (idle) g_set_error(error, PLAN_ERROR, PLAN_ERROR_VALUE, "task %s: %s; remove it", wanted->name, idle);
  return idle == NULL;
}

static Task *task_open(const Plan *plan, const PlanTask *wanted, int limit, GError **error) {
  DatasetOptions options = {.path = wanted->path, .option_order = wanted->options, .seed = plan->seed};
  Dataset *dataset = dataset_open(wanted->name, &options, error);
  if (!dataset) {
    g_prefix_error(error, "task %s: ", wanted->name);
    return NULL;
  }
  if (!check_keys(wanted, dataset_kind(dataset), error)) {
    dataset_close(dataset);
    return NULL;
  }
  Task *task = g_new0(Task, 1);
  task->plan = wanted;
  task->dataset = dataset;
  task->max_length = plan_max_length(plan, wanted);
  task->selected = select_problems(dataset, limit, plan->seed);
  return task;
}

gboolean task_note_missing(GPtrArray *missing, GError **why) {
  if (!missing || !g_error_matches(*why, DATASET_ERROR, DATASET_ERROR_MISSING)) return FALSE;
  g_ptr_array_add(missing, g_strdup((*why)->message));
  g_clear_error(why);
  return TRUE;
}

GPtrArray *tasks_open(const Plan *plan, int limit, GPtrArray *missing, GError **error) {
  g_autoptr(GPtrArray) tasks = g_ptr_array_new_with_free_func(task_free);
  for (unsigned i = 0; i < plan->n_tasks; i++) {
    GError *why = NULL;
    Task *task = task_open(plan, &plan->tasks[i], limit, &why);
    if (task)
      g_ptr_array_add(tasks, task);
    else if (!task_note_missing(missing, &why)) {
      g_propagate_error(error, why);
      return NULL;
    }
  }
  return g_steal_pointer(&tasks);
}

const char *task_name(const Task *task) {
  return task->plan->name;
}

/* A grade by the other verdict is another grade: the store must not take one for the other. */
const char *task_grader_version(const Task *task) {
  g_autofree char *real = g_strdup_printf("%s-real", grade_version_code());
  switch (dataset_kind(task->dataset)) {
  case DATASET_INTEGER:
    return grade_version_integer();
  case DATASET_MATH:
    return grade_version_math();
  case DATASET_CHOICE:
    return grade_version_choice();
  case DATASET_CODE:
    return task_counts_real(task) ? g_intern_string(real) : grade_version_code();
  }
  g_assert_not_reached();
}

gboolean task_counts_real(const Task *task) {
  return g_strcmp0(task->plan->verdict, "real") == 0;
}

const char *task_aggregate(const Task *task) {
  return dataset_kind(task->dataset) == DATASET_CODE ? "pass" : "maj";
}

void task_grade_text(const Task *task, guint index, const char *text, gsize length, GradeVerdict *verdict) {
  const DatasetProblem *problem = dataset_problem(task->dataset, index);
  switch (dataset_kind(task->dataset)) {
  case DATASET_INTEGER:
    grade_integer(text, length, problem->answer, verdict);
    return;
  case DATASET_MATH:
    grade_math(text, length, problem->answer, verdict);
    return;
  case DATASET_CHOICE:
    grade_choice(text, length, problem->answer[0], problem->options, problem->n_options, "chain", verdict);
    return;
  case DATASET_CODE:
    break;
  }
  g_assert_not_reached();
}

void task_ungraded(const char *rule, const GError *why, GradeVerdict *verdict) {
  *verdict = (GradeVerdict){.outcome = GRADE_UNGRADED,
                            .rule = rule,
                            .detail = g_strdup(why->message),
                            .official = GRADE_UNGRADED,
                            .real = GRADE_UNGRADED};
}
