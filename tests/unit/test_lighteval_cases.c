/* The cases of lighteval's own tests that are about grading. Their metrics of several samples are checked through
 * pass@k of our verdicts. */
#include "grading/grade.h"

#include "tests/unit/shared_rows.h"

/* Not here: maj_at_k, pass_at_k and avg_at_k compare words and are about statistics alone, as are the thresholds
 * above 0 of g_pass_at_k_math; pass_at_k_letters expects that no letter is ever found. */
static const struct {
  const char *name, *expected; /* the key of the expected value; NULL: the first */
  gboolean math;
} suites[] = {{"gpqa_instruct_metric", NULL, FALSE},
              {"gpqa_instruct_pass_at_k", NULL, FALSE},
              {"pass_at_k_math", NULL, TRUE},
              {"avg_at_k_math", NULL, TRUE},
              {"g_pass_at_k_math", "_0.0", TRUE}};

/* Cases of g_pass_at_k_math whose expectations come from an extraction that finds no answer in a bare formula. */
static const char *const exceptions[] = {"G Pass At K Math - Mixed Correct and Incorrect",
                                         "G Pass At K Math - High K Value", NULL};

static gboolean is_correct(json_t *doc, json_t *text, gboolean math) {
  json_t *choices = json_object_get(doc, "choices");
  size_t gold = (size_t)json_integer_value(json_object_get(doc, "gold_index"));
  GradeVerdict verdict;
  if (math)
    grade_math(json_string_value(text), json_string_length(text), json_string_value(json_array_get(choices, gold)),
               &verdict);
  else
    grade_choice(json_string_value(text), json_string_length(text), (char)('A' + gold), NULL,
                 (int)json_array_size(choices), "chain", &verdict);
  gboolean correct = verdict.outcome == GRADE_CORRECT;
  grade_verdict_clear(&verdict);
  return correct;
}

/* 1 - C(n - correct, k) / C(n, k) */
static double pass_at_k(int correct, int n, int k) {
  double missed = 1;
  for (int i = n - correct + 1; i <= n; i++) missed *= k <= n - correct ? 1 - (double)k / i : 0;
  return 1 - missed;
}

static double expected_value(json_t *test, const char *suffix) {
  const char *key;
  json_t *value;
  json_object_foreach(json_object_get(test, "expected_output"), key,
                      value) if (!suffix || g_str_has_suffix(key, suffix)) return json_number_value(value);
  g_error("%s expects nothing", row_text(test, "name"));
}

static void test_suite(gconstpointer which) {
  guint suite = GPOINTER_TO_UINT(which);
  g_autofree char *path = g_build_filename("..", "shared", "data", "lighteval_metric_cases.json", NULL);
  json_t *all = json_load_file(path, 0, NULL), *test, *text;
  if (!all) {
    g_test_skip("lighteval_metric_cases.json is not here");
    return;
  }
  size_t i, j;
  json_array_foreach(json_object_get(json_object_get(all, suites[suite].name), "test_cases"), i, test) {
    json_t *texts = json_object_get(json_object_get(test, "model_response"), "text"),
           *parameters = json_object_get(test, "metric_params");
    gboolean average = strstr(suites[suite].name, "avg") != NULL; /* of the first k */
    int k = json_object_get(parameters, "k") ? (int)json_integer_value(json_object_get(parameters, "k")) : 1,
        correct = 0;
    int n = average ? k : (int)json_array_size(texts);
    json_array_foreach(texts, j, text) correct +=
        (int)j < n && is_correct(json_object_get(test, "doc"), text, suites[suite].math);
    double ours = pass_at_k(correct, n, average ? 1 : k), expected = expected_value(test, suites[suite].expected);
    g_test_message("%s: %d of %d correct, %.3f, expected %.3f", row_text(test, "name"), correct, n, ours, expected);
    gboolean excepted = g_strv_contains(exceptions, row_text(test, "name"));
    g_assert_cmpint(ABS(ours - expected) < 0.01, ==, !excepted);
  }
  g_assert_cmpuint(i, >, 0);
  json_decref(all);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(suites); i++) {
    g_autofree char *name = g_strconcat("/lighteval/", suites[i].name, NULL);
    g_test_add_data_func(name, GUINT_TO_POINTER(i), test_suite);
  }
  return g_test_run();
}
