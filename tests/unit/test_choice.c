/* GPQA answers: which rule finds which letter. */
#include "grading/grade.h"

#include "tests/unit/shared_rows.h"

static void check(const char *text, const char *answer, const char *rule) {
  GradeVerdict verdict;
  grade_choice(text, strlen(text), 'B', NULL, 4, "chain", &verdict);
  g_test_message("%s: %s by %s: %s", text, verdict.answer, verdict.rule, verdict.detail);
  g_assert_cmpstr(verdict.answer, ==, answer);
  g_assert_cmpstr(verdict.rule, ==, rule);
  g_assert_cmpint(verdict.outcome, ==, !answer ? GRADE_NO_ANSWER : *answer == 'B' ? GRADE_CORRECT : GRADE_WRONG);
  grade_verdict_clear(&verdict);
}

static void test_chain(void) {
  check("Answer: B", "B", "answer-line");
  check("... so\n\nAnswer: $B$", "B", "answer-line");
  check("**Answer:** C", "C", "answer-line");
  check("**Answer: D**", "D", "answer-line");
  check("Answer: **D**", "D", "answer-line");
  check("### Final Answer: (B)", "B", "answer-line");
  check("The final answer:\n\n**B**", "B", "answer-line");
  check("Answer: \"C\"", "C", "answer-line");
  check("Answer: 'C'", "C", "answer-line");
  check("Answer: _C_", "C", "answer-line");
  check("Answer: \\(B\\)", "B", "answer-line");
  check("Answer: \\text{B}", "B", "answer-line");
  check("Answer\xef\xbc\x9a"
        "B",
        "B", "answer-line");
  check("Answer: A\nWait.\nAnswer: B", "B", "answer-line");
  check("The answer is C.\n\nAnswer: A", "A", "answer-line");
  check("Answer: B, which is cold.", "B", "answer-line");

  check("\\boxed{B}", "B", "boxed");
  check("\\boxed{\\text{(B)}}", "B", "boxed");
  check("\\boxed{\\textbf{B}}", "B", "boxed");
  check("\\boxed{b}", "B", "boxed");
  check("\\boxed{B. 3 m}", "B", "boxed");
  check("\\boxed{\\text{B: } 3}", "B", "boxed");
  check("The answer is A? No. \\boxed{D}", "D", "boxed");

  check("{\"answer\": \"C\"}", "C", "answer-field");
  check("`\"answer\": \"(b)\"`", "B", "answer-field");

  check("The answer is (B).", "B", "answer-is");
  check("The best answer is C", "C", "answer-is");
  check("the correct answer to this question is therefore option D.", "D", "answer-is");
  check("Thus the answer must be **B**.", "B", "answer-is");
  check("The correct option is:\n\n**B. 5 m**", "B", "answer-is");
  check("The answer is A. No: the answer is B.", "B", "answer-is");

  check("The closest one is **C. 4.2 eV**", "C", "conclusion");
  check("This is closest to option A: 5", "A", "conclusion");
  check("Therefore, D is the most likely one to be correct, and D is the correct choice", "D", "letter-is");
  check("Option B (but why not?)", "B", "option");
  check("thinking\n(C) it seems", "C", "line-start");
  check("B", "B", "last-letter");
  check("hence B!", "B", "last-letter");
}

static void test_not_an_answer(void) {
  check("", NULL, NULL);
  check("The Pacific is the largest ocean.", NULL, NULL);
  check("A mixture of gases", NULL, NULL);
  check("vitamin B12 and C_2 and D'", NULL, NULL);
  check("\\boxed{0.5}", NULL, NULL);
  check("Answer: c", NULL, NULL);
  check("the answer is E", NULL, NULL);
  check("<think>Answer: B</think>", NULL, NULL);
}

static void test_several_letters_are_no_answer(void) {
  GradeVerdict verdict;
  const char *text = "Answer: A and B";
  grade_choice(text, strlen(text), 'A', NULL, 4, "chain", &verdict);
  g_assert_cmpstr(verdict.rule, !=, "answer-line");
  grade_verdict_clear(&verdict);
}

static void test_more_options(void) {
  GradeVerdict verdict;
  grade_choice("The answer is (J).", 18, 'J', NULL, 10, "chain", &verdict);
  g_assert_cmpint(verdict.outcome, ==, GRADE_CORRECT);
  grade_verdict_clear(&verdict);
  grade_choice("The answer is (J).", 18, 'A', NULL, 9, "chain", &verdict);
  g_assert_cmpint(verdict.outcome, ==, GRADE_NO_ANSWER);
  grade_verdict_clear(&verdict);
}

static void test_option_text(void) {
  const char *const options[] = {" 5 cm\n", "0.25", "7 m", "7 m", "both of them", "5 mm"};
  static const struct {
    const char *text;
    char gold;
    GradeOutcome outcome;
  } cases[] = {{"\\boxed{5 cm}", 'A', GRADE_CORRECT},
               {"\\boxed{\\frac14}", 'B', GRADE_CORRECT},
               {"\\boxed{\\text{Both of them}}", 'E', GRADE_CORRECT},
               {"\\boxed{7 m}", 'C', GRADE_NO_ANSWER}}; /* two options say so */
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    GradeVerdict verdict;
    grade_choice(cases[i].text, strlen(cases[i].text), cases[i].gold, options, 6, "chain", &verdict);
    g_assert_cmpint(verdict.outcome, ==, cases[i].outcome);
    grade_verdict_clear(&verdict);
  }
}

static void check_simple_evals(const char *text, const char *answer) {
  GradeVerdict verdict;
  grade_choice(text, strlen(text), 'B', NULL, 4, "simple-evals", &verdict);
  g_assert_cmpstr(verdict.answer, ==, answer);
  g_assert_cmpint(verdict.outcome, ==, !answer ? GRADE_NO_ANSWER : *answer == 'B' ? GRADE_CORRECT : GRADE_WRONG);
  grade_verdict_clear(&verdict);
}

static void test_simple_evals(void) {
  check_simple_evals("Answer: B", "B");
  check_simple_evals("answer \t:\t $B$", "B");
  check_simple_evals("Answer: A ... Answer: B", "A"); /* the first match */
  check_simple_evals("Answer: Because", "B");         /* any letter after the colon */
  check_simple_evals("Answer: b", "b");               /* not made upper-case, hence wrong */
  check_simple_evals("**Answer:** B", NULL);
  check_simple_evals("Answer: **B**", NULL);
  check_simple_evals("Answer:\nB", NULL);
  check_simple_evals("\\boxed{B}", NULL);
  check_simple_evals("<think>Answer: A</think>Answer: B", "B");
}

static void test_ungraded(void) {
  GradeVerdict verdict;
  struct {
    char gold;
    int n_options;
    const char *mode;
  } bad[] = {{'E', 4, "chain"},  {'a', 4, "chain"}, {'A', 0, "chain"},
             {'A', 27, "chain"}, {'A', 4, "first"}, {'A', 4, NULL}};
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    grade_choice("Answer: A", 9, bad[i].gold, NULL, bad[i].n_options, bad[i].mode, &verdict);
    g_assert_cmpint(verdict.outcome, ==, GRADE_UNGRADED);
    g_assert_nonnull(verdict.detail);
    grade_verdict_clear(&verdict);
  }
}

/* Free-format answers of five models, words masked. `extracted` is what a careful reader found, "E" when nothing. */
static void test_gpqa_rows(void) {
  json_t *rows = shared_rows("gpqa_masked_outputs.jsonl"), *row;
  if (!rows) return;
  size_t i;
  int found = 0, agreed = 0, total = (int)json_array_size(rows);
  json_array_foreach(rows, i, row) {
    GradeVerdict verdict;
    const char *text = row_text(row, "response_masked"), *reference = row_text(row, "extracted");
    grade_choice(text, strlen(text), *row_text(row, "gold"), NULL, 4, "chain", &verdict);
    found += *reference != 'E';
    agreed += *reference != 'E' && g_strcmp0(verdict.answer, reference) == 0;
    grade_verdict_clear(&verdict);
  }
  g_test_message("letters: %d of %d rows (%.2f %%), of the %d with a letter %.2f %%", agreed, total,
                 100.0 * agreed / total, found, 100.0 * agreed / found);
  g_assert_cmpfloat(agreed, >=, 0.87 * total);
  json_decref(rows);
}

/* MMLU-Pro science questions with 4 to 10 options; null where the reference's three patterns found nothing. */
static void test_mmlu_pro_rows(void) {
  json_t *rows = shared_rows("mcq_mmlupro_science_outputs.jsonl"), *row;
  if (!rows) return;
  size_t i;
  int found = 0, agreed = 0;
  json_array_foreach(rows, i, row) {
    GradeVerdict verdict;
    const char *text = row_text(row, "response"), *reference = row_text(row, "pred_regex");
    if (!reference) continue;
    grade_choice(text, strlen(text), *row_text(row, "gold"), NULL,
                 (int)json_array_size(json_object_get(row, "options")), "chain", &verdict);
    found++;
    agreed += g_strcmp0(verdict.answer, reference) == 0;
    grade_verdict_clear(&verdict);
  }
  g_test_message("letters: %d of %d (%.2f %%)", agreed, found, 100.0 * agreed / found);
  g_assert_cmpfloat(agreed, >=, 0.98 * found);
  json_decref(rows);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/choice/chain", test_chain);
  g_test_add_func("/choice/not-an-answer", test_not_an_answer);
  g_test_add_func("/choice/several-letters", test_several_letters_are_no_answer);
  g_test_add_func("/choice/more-options", test_more_options);
  g_test_add_func("/choice/option-text", test_option_text);
  g_test_add_func("/choice/simple-evals", test_simple_evals);
  g_test_add_func("/choice/ungraded", test_ungraded);
  g_test_add_func("/choice/gpqa-rows", test_gpqa_rows);
  g_test_add_func("/choice/mmlu-pro-rows", test_mmlu_pro_rows);
  return g_test_run();
}
