/* MATH answers measured on real outputs, against the verdicts of two reference graders (Qwen2.5-Math's and
 * Math-Verify). */
#include "grading/grade.h"

#include "tests/unit/shared_rows.h"

/* Where both references agree and we do not. In all of these they find an answer wrong that is right; only the last one
 * is luck, the sum that a truncated text ends with. */
static const struct {
  const char *problem, *reason;
} disagreements[] = {
    {"test/geometry/353.json", "a root sign that is no LaTeX"},
    {"test/algebra/864.json", "a pair in bold type, and one at the end of a sentence"},
    {"test/intermediate_algebra/754.json", "the letter of an option with what the option says"},
    {"test/precalculus/681.json", "a product of sines of degrees without LaTeX, which is 1/8"},
    {"test/prealgebra/1423.json", "a Greek letter that is no LaTeX"},
    {"test/number_theory/928.json", "a number as a word"},
    {"test/intermediate_algebra/2152.json", "the last formula is identically 0, as is the answer"},
};

static const char *disagreement(const char *problem) {
  for (gsize i = 0; i < G_N_ELEMENTS(disagreements); i++)
    if (g_str_equal(disagreements[i].problem, problem)) return disagreements[i].reason;
  return NULL;
}

static void test_math500(void) {
  json_t *rows = shared_rows("math500_outputs.jsonl"), *row;
  if (!rows) return;
  size_t i;
  int compared = 0, agreed = 0;
  json_array_foreach(rows, i, row) {
    gboolean reference = row_true(row, "ok_qwen");
    if (reference != row_true(row, "ok_mathverify")) continue;
    GradeVerdict verdict;
    const char *text = row_text(row, "response");
    grade_math(text, strlen(text), row_text(row, "gold"), &verdict);
    compared++;
    agreed += (verdict.outcome == GRADE_CORRECT) == reference;
    if ((verdict.outcome == GRADE_CORRECT) != reference) {
      const char *reason = disagreement(row_text(row, "id"));
      g_test_message("%s by %s: %s; both references: %s: %s", row_text(row, "id"), verdict.rule, verdict.detail,
                     reference ? "correct" : "wrong", reason);
      g_assert_nonnull(reason);
    }
    grade_verdict_clear(&verdict);
  }
  g_test_message("verdicts: %d of the %d rows on which the references agree (%.2f %%)", agreed, compared,
                 100.0 * agreed / compared);
  g_assert_cmpfloat(agreed, >=, 0.99 * compared);
  json_decref(rows);
}

/* Reasoning models' outputs with <think>. */
static void test_thinking_rows(void) {
  json_t *rows = shared_rows("think_outputs_math_r1.jsonl"), *row;
  if (!rows) return;
  size_t i;
  json_array_foreach(rows, i, row) {
    GradeVerdict verdict;
    const char *text = row_text(row, "response");
    grade_math(text, strlen(text), row_text(row, "gold"), &verdict);
    g_test_message("%s: %s", row_text(row, "gold"), verdict.detail);
    g_assert_cmpint(verdict.outcome == GRADE_CORRECT, ==, row_true(row, "ok_mathverify"));
    grade_verdict_clear(&verdict);
  }
  json_decref(rows);
}

/* The cases of Math-Verify's own tests that do not hold here, each with its reason; all others must. */
static const struct {
  int row;
  const char *reason;
} exceptions[] = {
    {5, "a comma separates the items of a list or thousands: it is no decimal point"},
    {6, "the same"},
    {7, "the same"},
    {17, "the same"},
    {31, "expects that a formula over several lines is not found, against its own default"},
    {32, "the same"},
    {35, "an escaped dollar inside a formula"},
    {124, "a product of matrices is not computed"},
    {133, "asks for equality to two decimals"},
    {139, "the same"},
    {187, "expects that x in [a, b] for a <= x <= b is right one way and wrong the other: equality is symmetric here"},
    {190, "two boxes far apart, each an answer of its own"},
    {196, "would need the solution of an inequality in |z|"},
    {202, "pairs of values of p and q stated as a list of equations"},
    {253, "f(x) and f(y) are not the same here"},
    {263, "takes 1 - 1/e and 1 + 1/e for equal"},
};

static void test_mathverify_cases(void) {
  json_t *rows = shared_rows("mathverify_cases.jsonl"), *row;
  if (!rows) return;
  size_t i;
  guint next = 0;
  json_array_foreach(rows, i, row) {
    const char *text = row_text(row, "pred"), *gold = row_text(row, "gold");
    json_t *result =
        json_object_get(row, "expected") ? json_object_get(row, "expected") : json_object_get(row, "result");
    gboolean expected = json_integer_value(result) == 1;
    GradeVerdict of_gold = {0}, verdict;
    if (strstr(gold, "boxed") || strlen(gold) > 200) { /* the expected answer is a text of its own */
      grade_math(gold, strlen(gold), "0", &of_gold);
      if (of_gold.answer) gold = of_gold.answer;
    }
    grade_math(text, strlen(text), gold, &verdict);
    gboolean excepted = next < G_N_ELEMENTS(exceptions) && exceptions[next].row == (int)i;
    if ((verdict.outcome == GRADE_CORRECT) == expected && excepted)
      g_test_message("row %zu holds now: drop it from the exceptions", i);
    if ((verdict.outcome == GRADE_CORRECT) != expected)
      g_test_message("row %zu: %s: %s", i, verdict.detail, excepted ? exceptions[next].reason : "?");
    g_assert_cmpint((verdict.outcome == GRADE_CORRECT) == expected, ==, !excepted);
    next += excepted;
    grade_verdict_clear(&verdict);
    grade_verdict_clear(&of_gold);
  }
  g_test_message("%zu of %zu cases hold", json_array_size(rows) - next, json_array_size(rows));
  json_decref(rows);
}

/* The vote of 8 samples with the literature's rule: the most frequent answer, of equally frequent ones the first.
 * Answers group by their canonical form, different forms by grade_math_equal(). */
static gboolean majority_is_correct(GradeVerdict *verdicts, int n) {
  int votes[64] = {0}, best = -1;
  for (int i = 0; i < n; i++) {
    if (!verdicts[i].answer) continue;
    int leader = 0;
    while (leader < i && !(verdicts[leader].answer && (g_str_equal(verdicts[leader].answer, verdicts[i].answer) ||
                                                       grade_math_equal(verdicts[leader].answer, verdicts[i].answer))))
      leader++;
    votes[leader]++;
  }
  for (int i = 0; i < n; i++)
    if (votes[i] > 0 && (best < 0 || votes[i] > votes[best])) best = i;
  return best >= 0 && verdicts[best].outcome == GRADE_CORRECT;
}

/* 1 - C(n - correct, k) / C(n, k): the chance that k of n samples hold a correct one. */
static double pass_at_k(int correct, int n, int k) {
  double missed = 1;
  for (int i = 0; i < k; i++) missed *= MAX(n - correct - i, 0) / (double)(n - i);
  return 1 - missed;
}

/* Published for these 100 problems of 8 samples: maj@8 93, pass@k 93.2857, 95.1 and 96 for k = 2, 4 and 8. Of Qwen's
 * 800 verdicts one is not ours: in problem 72 the eighth sample's 10000 is wrong for 10{,}000 there, which is the same
 * number, and Math-Verify says so too. No other sample solves that problem, so with the right verdict pass@k gains
 * k/8 of a problem. */
enum { LITERAL_PROBLEM = 72, LITERAL_SAMPLE = 7 };

static void test_majority(void) {
  static const struct {
    int k;
    double published;
  } pass[] = {{2, 93.2857}, {4, 95.1}, {8, 96}};
  json_t *rows = shared_rows("math_maj8_qwen25math_100.jsonl"), *row;
  if (!rows) return;
  size_t i, j;
  int majority = 0, correct = 0;
  double ours[G_N_ELEMENTS(pass)] = {0}, theirs[G_N_ELEMENTS(pass)] = {0};
  json_array_foreach(rows, i, row) {
    json_t *responses = json_object_get(row, "responses"), *response;
    GradeVerdict verdicts[8];
    int our_correct = 0, their_correct = 0;
    g_assert_cmpuint(json_array_size(responses), ==, G_N_ELEMENTS(verdicts));
    json_array_foreach(responses, j, response) {
      grade_math(json_string_value(response), json_string_length(response), row_text(row, "gold"), &verdicts[j]);
      gboolean right = verdicts[j].outcome == GRADE_CORRECT;
      gboolean qwen = json_is_true(json_array_get(json_object_get(row, "ok_qwen"), j));
      if (right != qwen)
        g_test_message("problem %zu, sample %zu: %s; Qwen: %s", i, j, verdicts[j].detail, qwen ? "correct" : "wrong");
      g_assert_cmpint(right != qwen, ==, i == LITERAL_PROBLEM && j == LITERAL_SAMPLE);
      our_correct += right;
      their_correct += qwen;
    }
    correct += our_correct;
    majority += majority_is_correct(verdicts, (int)j);
    for (gsize p = 0; p < G_N_ELEMENTS(pass); p++) {
      ours[p] += pass_at_k(our_correct, (int)j, pass[p].k);
      theirs[p] += pass_at_k(their_correct, (int)j, pass[p].k);
    }
    while (j-- > 0) grade_verdict_clear(&verdicts[j]);
  }
  g_test_message("mean %.3f, maj@8 %d", correct / 8.0, majority);
  g_assert_cmpint(correct, ==, 728 + 1);
  g_assert_cmpint(majority, ==, 93);
  for (gsize p = 0; p < G_N_ELEMENTS(pass); p++) {
    g_test_message("pass@%d %.4f by Qwen's verdicts, %.4f by ours", pass[p].k, theirs[p], ours[p]);
    g_assert_cmpfloat_with_epsilon(theirs[p], pass[p].published, 1e-4);
    g_assert_cmpfloat_with_epsilon(ours[p], pass[p].published + pass[p].k / 8.0, 1e-4);
  }
  json_decref(rows);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/math-rows/math500", test_math500);
  g_test_add_func("/math-rows/thinking", test_thinking_rows);
  g_test_add_func("/math-rows/mathverify-cases", test_mathverify_cases);
  g_test_add_func("/math-rows/majority", test_majority);
  return g_test_run();
}
