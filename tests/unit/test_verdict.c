/* Outcomes, the cut after the thinking, the last closed box. */
#include "grading/answer.h"
#include "grading/grade.h"

#include <string.h>

static void test_outcomes(void) {
  const char *names[] = {"correct", "wrong", "no_answer", "truncated", "error", "ungraded"};
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    GradeOutcome outcome;
    g_assert_cmpstr(grade_outcome_name((GradeOutcome)i), ==, names[i]);
    g_assert_true(grade_outcome_parse(names[i], &outcome));
    g_assert_cmpint(outcome, ==, i);
  }
  GradeOutcome untouched = GRADE_WRONG;
  g_assert_false(grade_outcome_parse("Correct", &untouched));
  g_assert_cmpint(untouched, ==, GRADE_WRONG);
}

static void test_clear(void) {
  GradeVerdict verdict;
  grade_integer("\\boxed{7}", 9, "7", &verdict);
  g_assert_nonnull(verdict.answer);
  grade_verdict_clear(&verdict);
  g_assert_null(verdict.answer);
  g_assert_null(verdict.detail);
  grade_verdict_clear(&verdict);
}

static void check_thinking(const char *text, const char *expected, gboolean expected_closed) {
  gsize length;
  gboolean closed;
  const char *after = grade_after_thinking(text, strlen(text), &length, &closed);
  g_assert_cmpmem(after, length, expected, strlen(expected));
  g_assert_cmpint(closed, ==, expected_closed);
  g_assert_true(grade_after_thinking(text, strlen(text), &length, NULL) == after);
}

static void test_thinking(void) {
  check_thinking("", "", TRUE);
  check_thinking("no tags", "no tags", TRUE);
  check_thinking("<think>a</think>b", "b", TRUE);
  check_thinking("a</think>b", "b", TRUE); /* the template opened it */
  check_thinking("<think>a</think>b</think>c", "c", TRUE);
  check_thinking("<think>a", "<think>a", FALSE);
  check_thinking("<think>a</think>b<think>c", "b<think>c", FALSE);
  check_thinking("a</think", "a</think", TRUE);
  check_thinking("</think>", "", TRUE);
  check_thinking("<<</think>>", ">", TRUE);

  const char text[] = "<think>\0</think>\0x";
  gsize length;
  g_assert_true(grade_after_thinking(text, sizeof text - 1, &length, NULL) == text + 16);
  g_assert_cmpuint(length, ==, 2);
}

static void test_unclosed_thinking_is_truncated(void) {
  const char *text = "<think>so \\boxed{4}, Answer: A";
  GradeVerdict verdict;
  grade_integer(text, strlen(text), "4", &verdict);
  g_assert_cmpint(verdict.outcome, ==, GRADE_TRUNCATED);
  g_assert_cmpstr(verdict.detail, ==, "thinking never closed");
  g_assert_null(verdict.answer);
  grade_verdict_clear(&verdict);
  grade_choice(text, strlen(text), 'A', NULL, 4, "chain", &verdict);
  g_assert_cmpint(verdict.outcome, ==, GRADE_TRUNCATED);
  grade_verdict_clear(&verdict);
}

static void check_box(const char *text, const char *expected) {
  gsize length = 0, start = 0;
  const char *box = grade_last_boxed(text, strlen(text), &length, &start);
  if (!expected) {
    g_assert_null(box);
    return;
  }
  g_assert_nonnull(box);
  g_assert_cmpmem(box, length, expected, strlen(expected));
  g_assert_cmpint(text[start], ==, '\\');
}

static void test_boxed(void) {
  check_box("\\boxed{5}", "5");
  check_box("\\boxed {5}", "5");
  check_box("\\fbox{5}", "5");
  check_box("\\boxed{}", NULL);
  check_box("\\boxed{7} \\boxed{ }", "7");
  check_box("\\boxed{1} then \\boxed{2}.", "2");
  check_box("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}");
  check_box("\\boxed{\\boxed{3}}", "3");
  check_box("\\boxed{1} and \\boxed{2", "1");
  check_box("{ \\boxed{1}", "1");
  check_box("\\boxed{1} }}", "1");
  check_box("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}");
  check_box("\\boxed{\\left\\{ x \\right.}", "\\left\\{ x \\right.");
  check_box("\\boxed{a \\\\{b}}", "a \\\\{b}");
  check_box("\\boxed{12 \\boxed{13}", "13");
  check_box("boxed{5}", NULL);
  check_box("\\boxed{5", NULL);
  check_box("\\boxed 5", NULL);
  check_box("}{", NULL);
  check_box("", NULL);
}

static void test_excerpt(void) {
  g_autofree char *bad = grade_one_line("a\xff\n\0b", 5);
  g_assert_cmpstr(bad, ==,
                  "a\xef\xbf\xbd \xef\xbf\xbd"
                  "b");
  g_autofree char *escape = grade_one_line("\x1b[2J\t\x7f", 6);
  g_assert_cmpstr(escape, ==, "\\x1b[2J \\x7f");
  g_autofree char *many = g_strnfill(100000, 'x');
  g_autofree char *cut = grade_one_line(many, 100000);
  g_assert_cmpuint(strlen(cut), <, 300);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/verdict/outcomes", test_outcomes);
  g_test_add_func("/verdict/clear", test_clear);
  g_test_add_func("/verdict/thinking", test_thinking);
  g_test_add_func("/verdict/unclosed-thinking-is-truncated", test_unclosed_thinking_is_truncated);
  g_test_add_func("/verdict/boxed", test_boxed);
  g_test_add_func("/verdict/excerpt", test_excerpt);
  return g_test_run();
}
