/* Two answers, a newline between them: any bytes parse, compare the same both ways, and the canonical form of an
 * answer equals it. */
#include "grading/grade.h"
#include "grading/math.h"
#include "tests/fuzz/property.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *end = memchr(data, '\n', size);
  size_t first = end ? (size_t)(end - data) : size;
  g_autofree char *a = g_strndup((const char *)data, first);
  g_autofree char *b = g_strndup((const char *)data + MIN(first + 1, size), size - MIN(first + 1, size));
  require(grade_math_equal(a, b) == grade_math_equal(b, a), "not symmetric: %s, %s\n", a, b);
  for (int separate = 0; separate < 2; separate++) {
    g_autoptr(MathTree) tree = grade_math_parse((const char *)data, first, separate);
    g_autofree char *canonical = grade_math_print(tree->root);
    g_autoptr(MathTree) again = grade_math_parse(canonical, strlen(canonical), FALSE);
    g_autofree char *twice = grade_math_print(again->root);
    gboolean words_inside =
        tree->root->kind != MATH_TEXT && grade_math_contains(tree->root, MATH_TEXT); /* may read as formulas */
    gboolean within_limits = tree->root->depth < MATH_MAX_DEPTH / 3 && strlen(canonical) < MATH_MAX_BYTES;
    require(words_inside || !within_limits || grade_math_trees_equal(tree, again),
            "%s is not its canonical form %s (%s)\n", a, canonical, twice);
  }
  return 0;
}
