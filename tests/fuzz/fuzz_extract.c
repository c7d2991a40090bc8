/* Any bytes as the text of a model, graded in every way. The text ends where a page that cannot be read begins, so
 * that a byte read behind it is found even in code that is not instrumented. */
#include "grading/grade.h"
#include "tests/fuzz/property.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, MAX_TEXT = 64 * PAGE };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(GradeVerdict *verdict) {
  gboolean graded = verdict->outcome == GRADE_CORRECT || verdict->outcome == GRADE_WRONG;
  require(graded == (verdict->answer != NULL) && (!graded || verdict->rule), "%s: %s\n",
          grade_outcome_name(verdict->outcome), verdict->answer);
  require(!verdict->answer || g_utf8_validate(verdict->answer, -1, NULL), "the answer is not UTF-8\n");
  require(!verdict->detail || g_utf8_validate(verdict->detail, -1, NULL), "the detail is not UTF-8\n");
  grade_verdict_clear(verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const options[] = {"1", "2 m", "x", "x"};
  static char *pages;
  if (!pages) {
    pages = mmap(NULL, MAX_TEXT + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + MAX_TEXT, PAGE, PROT_NONE) != 0) g_error("no memory");
  }
  size = MIN(size, MAX_TEXT);
  char *text = pages + MAX_TEXT - size;
  if (size > 0) memcpy(text, data, size);
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
