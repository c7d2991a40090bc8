/* The two comparisons: printed output as LiveCodeBench's runner compares it, and typed results with Python's equality.
 * Every case was checked against Python itself. */
#include "grading/grade.h"
#include "grading/official.h"
#include "grading/value.h"
#include <string.h>
#include <time.h>

#define TEXT(s) (s), sizeof(s) - 1

static void test_output(void) {
  static const struct {
    const char *output;
    gsize output_length;
    const char *expected;
    gsize expected_length;
    gboolean equal;
  } cases[] = {
      {TEXT("3\n"), TEXT("3"), TRUE},
      {TEXT("  3  \n\n"), TEXT("\n3"), TRUE},
      {TEXT("1 2\n 3 "), TEXT("1 2 \n3"), TRUE},
      {TEXT("1\r\n2\r\n"), TEXT("1\n2\n"), TRUE},
      {TEXT("1\n\n2"), TEXT("1\n2"), FALSE},
      {TEXT("1  2"), TEXT("1 2"), TRUE}, /* as numbers */
      {TEXT("a  b"), TEXT("a b"), FALSE},
      {TEXT("Yes"), TEXT("YES"), FALSE},
      {TEXT(""), TEXT(" \n "), TRUE},
      {TEXT(""), TEXT("0"), FALSE},
      {TEXT("0"), TEXT(""), FALSE},
      {TEXT("1\n2"), TEXT("1"), FALSE},
      {TEXT("1.0"), TEXT("1"), TRUE},
      {TEXT("1e3 -0"), TEXT("1000.000 0"), TRUE},
      {TEXT(".5 5."), TEXT("0.50 5"), TRUE},
      {TEXT("+7"), TEXT("07"), TRUE},
      {TEXT("0.333333"), TEXT("0.3333333"), FALSE},
      {TEXT("10000000000000000000000000000001"), TEXT("10000000000000000000000000000001.0"), TRUE},
      {TEXT("10000000000000000000000000000001"), TEXT("10000000000000000000000000000002"), FALSE},
      {TEXT("1_000"), TEXT("1000"), TRUE},
      {TEXT("inf -Infinity"), TEXT("INFINITY -inf"), TRUE},
      {TEXT("nan 1"), TEXT("nan 1.0"), FALSE},
      {TEXT("nan 1"), TEXT("nan 1"), TRUE}, /* as text */
      {TEXT("1e"), TEXT("1"), FALSE},
      {TEXT("1.2.3"), TEXT("1.2.3"), TRUE},
      {TEXT("."), TEXT("0"), FALSE},
      {TEXT("1 2 3"), TEXT("1 2"), FALSE},
      {TEXT("1 x"), TEXT("1.0 x"), FALSE},
      {TEXT("\xd9\xa3"), TEXT("3"), TRUE}, /* an Arabic digit */
      {TEXT("1\xc2\xa0"
            "2"),
       TEXT("1 2.0"), TRUE}, /* a no-break space */
      {TEXT("\xe3\x80\x80"
            "5\xe3\x80\x80"),
       TEXT("5"), TRUE},
      {TEXT("\x1c"
            "5\x1f"),
       TEXT("5"), TRUE},
      {TEXT("5\0"), TEXT("5"), FALSE},
      {TEXT("\xff\xfe"), TEXT("\xff\xfe"), TRUE},
      {TEXT("\xff\xfe"), TEXT("\xff"), FALSE},
      {TEXT("1e999999999999999999999"), TEXT("1e999999999999999999998"), FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *difference = NULL;
    g_test_message("%s / %s", cases[i].output, cases[i].expected);
    const gboolean equal = grade_official_output_equal(cases[i].output, cases[i].output_length, cases[i].expected,
                                                       cases[i].expected_length, &difference);
    g_assert_cmpint(equal, ==, cases[i].equal);
    g_assert_cmpint(difference == NULL, ==, equal);
  }
}

static void test_output_is_linear(void) {
  const gsize n = 4 << 20;
  g_autofree char *spaces = g_strnfill(n, ' '), *digits = g_strnfill(n, '7'), *lines = g_strnfill(n, '\n'),
                  *difference = NULL;
  const clock_t start = clock(); /* of the processor: the machine may be busy */
  lines[0] = lines[n - 1] = 'x';
  g_assert_true(grade_official_output_equal(spaces, n, "", 0, &difference));
  g_assert_false(grade_official_output_equal(digits, n, digits, n - 1, &difference));
  g_clear_pointer(&difference, g_free);
  g_assert_false(grade_official_output_equal(lines, n, lines, n - 1, &difference));
  g_clear_pointer(&difference, g_free);
  g_assert_true(grade_official_output_equal(lines, n, lines, n, &difference));
  g_assert_cmpint(clock() - start, <, 10 * CLOCKS_PER_SEC);
}

/* ---- Typed results ---------------------------------------------------------------------------------------------- */

/* Encoded values, written as their tags with the numbers that follow in text: "l2 i1:5 n" is [5, None]. */
static GByteArray *encode(const char *text) {
  GByteArray *bytes = g_byte_array_new();
  while (*text) {
    const char tag = *text++;
    if (tag == ' ') continue;
    g_byte_array_append(bytes, (const guint8 *)&tag, 1);
    if (tag == 'd') {
      const double real = g_ascii_strtod(text, (char **)&text);
      g_byte_array_append(bytes, (const guint8 *)&real, sizeof real);
    } else if (strchr("islum", tag)) {
      const guint64 length = g_ascii_strtoull(text, (char **)&text, 10);
      g_byte_array_append(bytes, (const guint8 *)&length, sizeof length);
      if (tag != 'i' && tag != 's') continue;
      g_byte_array_append(bytes, (const guint8 *)text + 1, (guint)length); /* after the colon */
      text += 1 + length;
    }
  }
  return bytes;
}

static void test_values(void) {
  static const struct {
    const char *encoded, *expected;
    gboolean equal;
  } cases[] = {
      {"i1:5", "5", TRUE},
      {"i1:5", " 5\n", TRUE},
      {"i1:5", "5.0", TRUE},
      {"d5", "5", TRUE},
      {"d5.5", "5.5", TRUE},
      {"d0.30000000000000004", "0.3", FALSE},
      {"d0.1", "0.1", TRUE},
      {"t", "true", TRUE},
      {"t", "1", TRUE},
      {"t", "1.0", TRUE},
      {"i1:1", "true", TRUE},
      {"i1:0", "false", TRUE},
      {"f", "0.0", TRUE},
      {"f", "null", FALSE},
      {"n", "null", TRUE},
      {"n", "0", FALSE},
      {"t", "\"true\"", FALSE},
      {"i2:-5", "-5", TRUE},
      {"i1:5", "-5", FALSE},
      {"i1:0", "-0", TRUE},
      {"d-0", "0", TRUE},
      {"i30:123456789012345678901234567890", "123456789012345678901234567890", TRUE},
      {"i30:123456789012345678901234567890", "123456789012345678901234567891", FALSE},
      {"i23:100000000000000000000000", "1e23", FALSE}, /* the float is 99999999999999991611392 */
      {"i23:99999999999999991611392", "1e23", TRUE},
      {"dnan", "NaN", FALSE},
      {"dinf", "Infinity", TRUE},
      {"dinf", "1e999", TRUE},
      {"d-inf", "-Infinity", TRUE},
      {"s2:ab", "\"ab\"", TRUE},
      {"s2:ab", "\"a\\u0062\"", TRUE},
      {"s4:\xf0\x9f\x98\x80", "\"\\ud83d\\ude00\"", TRUE},
      {"s3:\xed\xa0\xbd", "\"\\ud83d\"", TRUE},
      {"s3:a\"\n", "\"a\\\"\\n\"", TRUE},
      {"s1:5", "5", FALSE},
      {"s0:", "\"\"", TRUE},
      {"l0", "[]", TRUE},
      {"l0", "[ ]", TRUE},
      {"l2 i1:1 i1:2", "[1, 2]", TRUE},
      {"l2 i1:1 i1:2", "[1,2,3]", FALSE},
      {"l3 i1:1 i1:2 i1:3", "[1,2]", FALSE},
      {"l2 l1 i1:1 l1 d2", "[[1], [2]]", TRUE},
      {"l2 u1 i1:1 u1 i1:2", "[[1], [2]]", FALSE}, /* tuples inside stay tuples */
      {"u1 i1:1", "[1]", FALSE},
      {"l1 l0", "[[]]", TRUE},
      {"l1 ?", "[1]", FALSE},
      {"m2 s1:a i1:1 s1:b n", "{\"b\": null, \"a\": 1}", TRUE},
      {"m1 s1:a i1:1", "{\"a\": 2, \"a\": 1}", TRUE},
      {"m2 s1:a i1:1 s1:a i1:1", "{\"a\": 1, \"b\": 1}", FALSE},
      {"m1 i1:1 i1:1", "{\"1\": 1}", FALSE},
      {"m0", "{}", TRUE},
      {"m0", "[]", FALSE},
      {"m1 s1:a l1 i1:1", "{\"a\": [1]}", TRUE},
      /* malformed encodings equal nothing */
      {"", "null", FALSE},
      {"n n", "null", FALSE},
      {"l9", "[1]", FALSE},
      {"z", "1", FALSE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GByteArray) bytes = encode(cases[i].encoded);
    g_autoptr(GError) error = NULL;
    g_autofree char *difference = NULL;
    g_test_message("%s / %s", cases[i].encoded, cases[i].expected);
    const gboolean equal = grade_value_matches((const char *)bytes->data, bytes->len, cases[i].expected,
                                               strlen(cases[i].expected), &difference, &error);
    g_assert_no_error(error);
    g_assert_cmpint(equal, ==, cases[i].equal);
  }
  static const char *const damaged[] = {"",        "[",      "[1,]",   "01",        "1 2", "nul", "\"a",
                                        "\"\\x\"", "\"\n\"", "{1: 2}", "{\"a\" 1}", "-",   "+1",  "'a'"};
  for (gsize i = 0; i < G_N_ELEMENTS(damaged); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *difference = NULL;
    g_assert_false(grade_value_matches("n", 1, damaged[i], strlen(damaged[i]), &difference, &error));
    g_assert_error(error, GRADE_ERROR, GRADE_ERROR_INPUT);
  }
}

/* What a row may make of the grader's stack and of its time. */
static void test_values_are_bounded(void) {
  for (int depth = 500; depth <= 5000000; depth *= 100) {
    g_autofree char *opened = g_strnfill((gsize)depth, '['), *closed = g_strnfill((gsize)depth, ']');
    g_autofree char *nested = g_strconcat(opened, closed, NULL);
    g_autoptr(GByteArray) encoded = g_byte_array_new();
    for (int i = 1; i <= depth; i++) {
      const guint64 members = i < depth;
      g_byte_array_append(encoded, (const guint8 *)"l", 1);
      g_byte_array_append(encoded, (const guint8 *)&members, sizeof members);
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *difference = NULL;
    const gboolean equal =
        grade_value_matches((const char *)encoded->data, encoded->len, nested, strlen(nested), &difference, &error);
    g_assert_cmpint(equal, ==, depth == 500);
    g_assert_true(depth == 500 ? !error : g_error_matches(error, GRADE_ERROR, GRADE_ERROR_INPUT));
  }
  for (gsize digits = 50000; digits <= 50001; digits++) {
    g_autofree char *number = g_strnfill(digits, '7');
    g_autoptr(GError) error = NULL;
    g_autofree char *difference = NULL;
    g_assert_false(grade_value_matches("n", 1, number, digits, &difference, &error));
    g_assert_true(digits == 50000 ? !error : g_error_matches(error, GRADE_ERROR, GRADE_ERROR_INPUT));
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/program-compare/output", test_output);
  g_test_add_func("/program-compare/output-is-linear", test_output_is_linear);
  g_test_add_func("/program-compare/values", test_values);
  g_test_add_func("/program-compare/values-are-bounded", test_values_are_bounded);
  return g_test_run();
}
