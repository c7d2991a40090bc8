/* Grading texts from elsewhere. */
#include "harness/foreign.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "harness/task.h"
#include "harness/test_sets.h"

/* LETTERS: options of a question that only its gold letter is known of; were they told by that letter, the gold would
 * decide which answers are found. */
enum { LETTERS = 10 };

typedef struct {
  Task task; /* the dataset NULL until a row names a problem */
  const ForeignOptions *options;
  GradePrograms *programs;
  GError *sandbox;   /* why no program can run here */
  GHashTable *tests; /* test_sets_new() */
  GQueue rows;       /* Row *, in the input's order */
  FILE *out;
  guint *ungraded;
} Foreign;

typedef struct {
  Foreign *foreign;
  json_t *id;
  gboolean code, done;
  TestSet *tests; /* while the program is out */
  GradeVerdict verdict;
} Row;

static gboolean refuse(GError **error, const char *format, const char *value) {
  g_set_error(error, GRADE_ERROR, GRADE_ERROR_INPUT, format, value);
  return FALSE;
}

static gboolean open_task(Foreign *foreign, GError **error) {
  DatasetOptions options = {.path = foreign->options->problems};
  if (!foreign->task.dataset) foreign->task.dataset = dataset_open(foreign->options->task, &options, error);
  return foreign->task.dataset != NULL;
}

static void print_row(Row *row, FILE *out) {
  const GradeVerdict *verdict = &row->verdict;
  json_t *object =
      json_pack("{s:O, s:s, s:s?, s:s?, s:s?}", "id", row->id, "outcome", grade_outcome_name(verdict->outcome),
                "answer", verdict->answer, "rule", verdict->rule, "detail", verdict->detail);
  if (object && row->code) {
    json_object_set_new(object, "official", json_string(grade_outcome_name(verdict->official)));
    json_object_set_new(object, "real", json_string(grade_outcome_name(verdict->real)));
  }
  json_dumpf(object, out, JSON_COMPACT);
  fputc('\n', out);
  json_decref(object);
}

/* Prints the rows at the head of the queue that have their verdict. */
static void print_ready(Foreign *foreign) {
  for (Row *row; (row = g_queue_peek_head(&foreign->rows)) && row->done;) {
    *foreign->ungraded += row->verdict.outcome == GRADE_UNGRADED;
    print_row(row, foreign->out);
    grade_verdict_clear(&row->verdict);
    json_decref(row->id);
    g_free(g_queue_pop_head(&foreign->rows));
  }
}

static void program_done(const GradeVerdict *verdict, void *tag, gpointer user_data) {
  Row *row = tag;
  row->verdict = *verdict;
  row->verdict.answer = g_strdup(verdict->answer);
  row->verdict.detail = g_strdup(verdict->detail);
  row->done = TRUE;
  test_sets_release(row->foreign->tests, row->tests);
}

static void wait_for_programs(Foreign *foreign, guint most) {
  while (foreign->programs && grade_programs_poll(foreign->programs) > most) {
    print_ready(foreign);
    g_usleep(1000);
  }
  print_ready(foreign);
}

static void grade_program(Foreign *foreign, Row *row, guint index, const json_t *response) {
  const DatasetProblem *problem = dataset_problem(foreign->task.dataset, index);
  g_autoptr(GError) unreadable = NULL;
  if (!foreign->programs && !foreign->sandbox) {
    GradeProgramOptions options = foreign->options->programs;
    options.mode = foreign->options->mode;
    foreign->programs = grade_programs_open(&options, &foreign->sandbox);
  }
  wait_for_programs(foreign, MOST_PROGRAMS_OUT);
  TestSet *set = foreign->programs ? test_sets_use(foreign->tests, &foreign->task, index, &unreadable) : NULL;
  row->tests = set;
  row->done = set == NULL;
  if (!set) {
    task_ungraded(foreign->programs ? "no-tests" : "no-sandbox", foreign->programs ? unreadable : foreign->sandbox,
                  &row->verdict);
    return;
  }
  GradeProgram program = {.text = json_string_value(response),
                          .length = json_string_length(response),
                          .tests = set->tests,
                          .n_tests = set->n,
                          .function_name = problem->function_name,
                          .tag = row};
  grade_programs_submit(foreign->programs, &program, program_done, NULL);
}

static gboolean check_mode(DatasetKind kind, const char *mode, GError **error) {
  static const char *const none[] = {NULL}, *const choice[] = {"chain", "simple-evals", NULL},
                           *const code[] = {"official", "real", NULL};
  const char *const *allowed = kind == DATASET_CHOICE ? choice : kind == DATASET_CODE ? code : none;
  if (!mode || g_strv_contains(allowed, mode)) return TRUE;
  g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--mode is \"%s\"; %s", mode,
              kind == DATASET_CHOICE ? "allowed: chain, simple-evals"
              : kind == DATASET_CODE ? "allowed: official, real"
                                     : "this task has none");
  return FALSE;
}

/* The kind of answer that a task wants, told by its name where its data is not needed. */
static gboolean kind_of(const Foreign *foreign, DatasetKind *kind, GError **error) {
  static const struct {
    const char *name;
    DatasetKind kind;
  } names[] = {{"aime24", DATASET_INTEGER},     {"aime25", DATASET_INTEGER},           {"pocket-aime", DATASET_INTEGER},
               {"math500", DATASET_MATH},       {"gpqa-diamond", DATASET_CHOICE},      {"pocket-gpqa", DATASET_CHOICE},
               {"livecodebench", DATASET_CODE}, {"pocket-livecodebench", DATASET_CODE}};
  const char *task = foreign->options->task;
  gsize length = strcspn(task, "@:"); /* a release and a window of LiveCodeBench */
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    if (strlen(names[i].name) != length || strncmp(names[i].name, task, length) != 0) continue;
    if (task[length] && !g_str_equal(names[i].name, "livecodebench")) continue;
    *kind = names[i].kind;
    return TRUE;
  }
  return refuse(error,
                "--task is \"%s\"; allowed: aime24, aime25, math500, gpqa-diamond, livecodebench and the pocket tasks",
                foreign->options->task);
}

static void grade_answer(const Foreign *foreign, Row *row, DatasetKind kind, const char *gold,
                         const DatasetProblem *problem, const json_t *response) {
  const char *text = json_string_value(response), *mode = foreign->options->mode;
  gsize length = json_string_length(response);
  row->done = TRUE;
  if (kind == DATASET_INTEGER)
    grade_integer(text, length, gold, &row->verdict);
  else if (kind == DATASET_MATH)
    grade_math(text, length, gold, &row->verdict);
  else if (problem)
    grade_choice(text, length, g_ascii_toupper(gold[0]), problem->options, problem->n_options, mode ? mode : "chain",
                 &row->verdict);
  else
    grade_choice(text, length, g_ascii_toupper(gold[0]), NULL, MAX(LETTERS, g_ascii_toupper(gold[0]) - 'A' + 1),
                 mode ? mode : "chain", &row->verdict);
}

/* What is there must be `right`; null is as good as not there. */
static gboolean check_type(const char *key, const json_t *value, gboolean right, const char *allowed, GError **error) {
  if (!value || json_is_null(value) || right) return TRUE;
  g_autofree char *found = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  g_set_error(error, GRADE_ERROR, GRADE_ERROR_INPUT, "\"%s\" is %.80s; allowed: %s", key, found, allowed);
  return FALSE;
}

static gboolean grade_row(Foreign *foreign, DatasetKind kind, json_t *object, GError **error) {
  json_t *id = json_object_get(object, "id"), *response = json_object_get(object, "response");
  const json_t *gold = json_object_get(object, "gold"), *name = json_object_get(object, "problem");
  const DatasetProblem *problem = NULL;
  g_autofree char *number = NULL;
  int index = -1;
  if (!id || !json_is_string(response))
    return refuse(error, "%s; a row needs \"id\" and \"response\" (a string)",
                  !id        ? "\"id\" is missing"
                  : response ? "\"response\" is no string"
                             : "\"response\" is missing");
  if (!check_type("gold", gold, json_is_string(gold) || json_is_integer(gold), "a string or a whole number", error) ||
      !check_type("problem", name, json_is_string(name), "a string", error))
    return FALSE;
  if (json_is_integer(gold)) number = g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(gold));
  const char *gold_text = number ? number : json_string_value(gold);
  if (json_is_string(name)) {
    if (!open_task(foreign, error)) return FALSE;
    if ((index = dataset_find(foreign->task.dataset, json_string_value(name))) < 0)
      return refuse(error, "the task has no problem \"%s\"", json_string_value(name));
    problem = dataset_problem(foreign->task.dataset, (guint)index);
    if (!gold_text) gold_text = problem->answer;
  }
  if (kind == DATASET_CODE ? index < 0 : !gold_text)
    return refuse(error, "a row of %s needs \"problem\" (an id of its data), or, unless it is a program, \"gold\"",
                  foreign->options->task);
  if (kind == DATASET_CHOICE && (strlen(gold_text) != 1 || !g_ascii_isalpha(gold_text[0])))
    return refuse(error, "gold is \"%s\"; allowed: one letter", gold_text);
  Row *row = g_new0(Row, 1);
  *row = (Row){.foreign = foreign, .id = json_incref(id), .code = kind == DATASET_CODE};
  g_queue_push_tail(&foreign->rows, row);
  if (kind == DATASET_CODE)
    grade_program(foreign, row, (guint)index, response);
  else
    grade_answer(foreign, row, kind, gold_text, problem, response);
  return TRUE;
}

static gboolean grade_lines(Foreign *foreign, FILE *file, const char *name, GError **error) {
  g_autofree char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  DatasetKind kind;
  gboolean ok = kind_of(foreign, &kind, error) && check_mode(kind, foreign->options->mode, error);
  for (int number = 1; ok && (length = getline(&line, &capacity, file)) >= 0; number++) {
    json_error_t wrong;
    if (strspn(line, " \t\r\n") == (size_t)length) continue;
    json_t *object = json_loadb(line, (size_t)length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &wrong);
    if (!object) g_set_error(error, GRADE_ERROR, GRADE_ERROR_INPUT, "not JSON: %s", wrong.text);
    ok = object && grade_row(foreign, kind, object, error);
    if (!ok) g_prefix_error(error, "%s, line %d: ", name, number);
    json_decref(object);
    print_ready(foreign);
  }
  if (ok && ferror(file)) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "%s: read failed: %m", name);
    ok = FALSE;
  }
  wait_for_programs(foreign, 0);
  return ok;
}

static void row_free(gpointer data) {
  Row *row = data;
  grade_verdict_clear(&row->verdict);
  json_decref(row->id);
  g_free(row);
}

gboolean foreign_grade(const char *input, const ForeignOptions *options, FILE *out, guint *ungraded, GError **error) {
  PlanTask plan = {.name = (char *)options->task};
  Foreign foreign = {
      .task = {.plan = &plan}, .options = options, .rows = G_QUEUE_INIT, .out = out, .ungraded = ungraded};
  FILE *file = g_str_equal(input, "-") ? stdin : fopen(input, "r");
  if (!file) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "%s: cannot be read: %m", input);
    return FALSE;
  }
  foreign.tests = test_sets_new();
  gboolean ok = grade_lines(&foreign, file, file == stdin ? "stdin" : input, error);
  if (file != stdin) fclose(file);
  g_clear_pointer(&foreign.programs, grade_programs_close);
  g_clear_error(&foreign.sandbox);
  g_queue_clear_full(&foreign.rows, row_free);
  g_hash_table_unref(foreign.tests);
  dataset_close(foreign.task.dataset);
  return ok;
}
