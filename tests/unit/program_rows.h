/* Real programs with their problems' tests: models' answers to LiveCodeBench, from ../shared/data. */
#ifndef HYPERSCALE_TESTS_PROGRAM_ROWS_H
#define HYPERSCALE_TESTS_PROGRAM_ROWS_H

#include "datasets/dataset.h"
#include "grading/grade.h"
#include "tests/unit/shared_rows.h"

typedef struct {
  json_t *row;
  GradeProgram program; /* `tag` points at this struct */
  GradeVerdict verdict;
} ProgramRow;

/* What the rows point into lives as long as the process; the leak checker finds it here. */
static GPtrArray *program_rows_kept;

/* The tests of a problem as the grader takes them. Empty where the data has none. */
static inline GArray *program_rows_tests(Dataset *dataset, guint index) {
  GArray *tests = g_array_new(FALSE, FALSE, sizeof(GradeTest));
  GPtrArray *unpacked = dataset_tests(dataset, index, NULL);
  for (guint t = 0; unpacked && t < unpacked->len; t++) {
    const DatasetTest *test = unpacked->pdata[t];
    const GradeTest copy = {test->input, test->input_length, test->output, test->output_length};
    g_array_append_val(tests, copy);
  }
  g_ptr_array_add(program_rows_kept, unpacked);
  g_ptr_array_add(program_rows_kept, tests);
  return tests;
}

/* Every `stride`-th row [*n], at most `most` of them. NULL after g_test_skip() where the data is missing. */
static inline ProgramRow *program_rows(gsize stride, gsize most, gsize *n) {
  json_t *rows = shared_rows("lcb_outputs.jsonl");
  if (!rows) return NULL;
  const DatasetOptions from = {.path = "../shared/data/lcb_problems.jsonl"};
  g_autoptr(GError) error = NULL;
  Dataset *dataset = dataset_open("livecodebench", &from, &error);
  if (!dataset) g_error("%s", error->message);
  g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < dataset_size(dataset); i++)
    g_hash_table_insert(known, (gpointer)dataset_problem(dataset, i)->id, GUINT_TO_POINTER(i));
  if (!program_rows_kept) program_rows_kept = g_ptr_array_new();
  g_autofree GArray **tests = g_new0(GArray *, dataset_size(dataset));
  *n = MIN(most, (json_array_size(rows) + stride - 1) / stride);
  ProgramRow *all = g_new0(ProgramRow, *n);
  g_ptr_array_add(program_rows_kept, all);
  g_ptr_array_add(program_rows_kept, dataset);
  g_ptr_array_add(program_rows_kept, rows);
  for (gsize i = 0; i < *n; i++) {
    json_t *row = json_array_get(rows, i * stride);
    const guint index = GPOINTER_TO_UINT(g_hash_table_lookup(known, row_text(row, "question_id")));
    if (!tests[index]) tests[index] = program_rows_tests(dataset, index);
    const char *output = row_text(row, "output");
    all[i] = (ProgramRow){row,
                          {output, strlen(output), (const GradeTest *)(void *)tests[index]->data, tests[index]->len,
                           dataset_problem(dataset, index)->function_name, &all[i]},
                          {0}};
  }
  return all;
}

static inline void program_row_done(const GradeVerdict *verdict, void *tag, gpointer user_data) {
  ProgramRow *row = tag;
  row->verdict = *verdict;
  row->verdict.answer = g_strdup(verdict->answer);
  row->verdict.detail = g_strdup(verdict->detail);
}

/* Grades all and returns the seconds that it took. */
static inline double program_rows_grade(ProgramRow *rows, gsize n, GradePrograms *pool) {
  const gint64 start = g_get_monotonic_time();
  for (gsize i = 0; i < n; i++) grade_programs_submit(pool, &rows[i].program, program_row_done, NULL);
  grade_programs_drain(pool);
  return (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
}

#endif
