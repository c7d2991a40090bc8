/* What comes out of the sandbox and out of a data set, compared: no input may crash it, and a text equals itself. The
 * first byte cuts the rest in two. */
#include "grading/official.h"
#include "grading/value.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  const size_t rest = size - 1, cut = rest * data[0] / 255;
  /* Each half in memory of its own, so that reading past its end is seen. */
  char *first = malloc(cut ? cut : 1), *second = malloc(rest - cut ? rest - cut : 1), *difference;
  memcpy(first, data + 1, cut);
  memcpy(second, data + 1 + cut, rest - cut);
  grade_official_output_equal(first, cut, second, rest - cut, &difference);
  g_free(difference);
  if (!grade_official_output_equal(first, cut, first, cut, &difference)) abort();
  GError *error = NULL;
  grade_value_matches(first, cut, second, rest - cut, &difference, &error);
  g_free(difference);
  g_clear_error(&error);
  free(first);
  free(second);
  return 0;
}
