/* Any bytes as the text of a model, graded in every way. */
#include "grading/grade.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(GradeVerdict *verdict) {
  gboolean graded = verdict->outcome == GRADE_CORRECT || verdict->outcome == GRADE_WRONG;
  if (graded != (verdict->answer != NULL) || (graded && !verdict->rule))
    g_error("%s: %s", grade_outcome_name(verdict->outcome), verdict->answer);
  if (verdict->answer && !g_utf8_validate(verdict->answer, -1, NULL)) g_error("the answer is not UTF-8");
  if (verdict->detail && !g_utf8_validate(verdict->detail, -1, NULL)) g_error("the detail is not UTF-8");
  grade_verdict_clear(verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const options[] = {"1", "2 m", "x", "x"};
  const char *text = (const char *)data;
  GradeVerdict verdict;
  grade_integer(text, size, "33", &verdict);
  check(&verdict);
  grade_math(text, size, "\\frac{1}{2}", &verdict);
  check(&verdict);
  grade_choice(text, size, 'B', options, 4, "chain", &verdict);
  check(&verdict);
  grade_choice(text, size, 'J', NULL, 10, "simple-evals", &verdict);
  check(&verdict);
  return 0;
}
