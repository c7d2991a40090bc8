/* Pre-tokenizer patterns: what is translated and what refused, and that the words found by hand are those that PCRE2
 * finds. */
#include "engine/text/pattern.h"
#include "engine/text/splitter.h"

#include <string.h>

static const char qwen_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s+(?!\\S)|\\s+";
static const char llama_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static DmsSplitter *splitter_or_die(const char *pattern) {
  char *why = NULL;
  DmsSplitter *splitter = dms_splitter_new(pattern, &why);
  if (!splitter) g_error("%s: %s", pattern, why);
  return splitter;
}

/* The words with "|" between them. */
static char *words(const DmsSplitter *splitter, const char *text, gboolean by_regex_alone) {
  GString *out = g_string_new(NULL);
  g_autofree char *why = NULL;
  gssize n;
  DmsSplit split;
  dms_split_begin(&split, splitter, text, strlen(text));
  split.by_regex_alone = by_regex_alone;
  for (const char *word = text; (n = dms_split_next(&split, &why)) > 0; word += n) {
    if (out->len) g_string_append_c(out, '|');
    g_string_append_len(out, word, n);
  }
  g_assert_cmpint(n, ==, 0);
  dms_split_end(&split);
  return g_string_free(out, FALSE);
}

static void compare(const DmsSplitter *splitter, const char *text) {
  g_autofree char *fast = words(splitter, text, FALSE), *slow = words(splitter, text, TRUE);
  g_assert_cmpstr(fast, ==, slow);
}

static void test_words(void) {
  static const char *const cases[][2] = {
      {"Hello  world", "Hello| | world"},
      {"don't DON'T we'll", "don|'t| DON|'T| we|'ll"},
      {"1234 x", "1|2|3|4| x"},
      {"a\r\n\r\n  b", "a|\r\n\r\n| | b"},
      {" (x)\n\ny", " (|x|)\n\n|y"},
      {"  ", "  "},
      {"\tx\t\ty", "\tx|\t|\ty"},
      {"x = 'y'", "x| =| '|y|'"},
      {"\xe1\xa0\x8e a", "\xe1\xa0\x8e| a"}, /* U+180E is no blank */
      {"'\xc5\xbf x", "'\xc5\xbf| x"},       /* the long s folds to s */
  };
  DmsSplitter *splitter = splitter_or_die(qwen_pattern);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *got = words(splitter, cases[i][0], FALSE);
    g_assert_cmpstr(got, ==, cases[i][1]);
    compare(splitter, cases[i][0]);
  }
  dms_splitter_free(splitter);
  splitter = splitter_or_die(llama_pattern);
  g_autofree char *digits = words(splitter, "12345678", FALSE);
  g_assert_cmpstr(digits, ==, "123|456|78");
  dms_splitter_free(splitter);
  splitter = splitter_or_die("\\p{L}+");
  g_autofree char *gaps = words(splitter, "..ab, cd!", FALSE);
  g_assert_cmpstr(gaps, ==, "..|ab|, |cd|!");
  dms_splitter_free(splitter);
}

/* One or more characters of every class that the patterns tell apart. */
static const char *const alphabet[] = {" ",        "\t",
                                       "\n",       "\r",
                                       "a",        "S",
                                       "l",        "1",
                                       "'",        ".",
                                       "\xc3\xa9", "\xe3\x80\x80",
                                       "\xd9\xa1", "\xe2\x80\x9c",
                                       "\xc5\xbf", "\xcc\x81",
                                       "\xc2\x85", "\xf0\x9f\x98\x80"};

/* Every text of up to four of these characters. */
static void test_all_short_texts(void) {
  static const char *const patterns[] = {qwen_pattern, llama_pattern};
  const guint n = G_N_ELEMENTS(alphabet);
  for (gsize p = 0; p < G_N_ELEMENTS(patterns); p++) {
    DmsSplitter *splitter = splitter_or_die(patterns[p]);
    for (guint code = 0; code < n * n * n * n; code++) {
      char text[32] = "";
      for (guint rest = code; rest; rest /= n) strcat(text, alphabet[rest % n]);
      compare(splitter, text);
    }
    dms_splitter_free(splitter);
  }
}

static void test_random_texts(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(7);
  static const char *const patterns[] = {qwen_pattern, llama_pattern};
  for (int round = 0; round < 40000; round++) {
    char text[256];
    int length = 0;
    gboolean ascii = g_rand_boolean(random);
    for (int i = g_rand_int_range(random, 1, 40); i > 0; i--) {
      gunichar c = (gunichar)g_rand_int_range(random, 1, 128);
      if (!ascii && g_rand_int_range(random, 0, 8) == 0) c = (gunichar)g_rand_int_range(random, 128, 0x3100);
      length += g_unichar_to_utf8(c, text + length);
    }
    text[length] = 0;
    DmsSplitter *splitter = splitter_or_die(patterns[round & 1]);
    compare(splitter, text);
    dms_splitter_free(splitter);
  }
}

/* White space is Unicode's property, exactly. */
static void test_blanks(void) {
  DmsSplitter *splitter = splitter_or_die("\\s+|\\S+");
  for (gunichar c = 1; c < 0x110000; c++) {
    if (c >= 0xd800 && c < 0xe000) continue;
    gboolean blank = (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
                     (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
                     c == 0x3000;
    char text[8] = " ";
    char *why = NULL;
    DmsSplit split;
    text[1 + g_unichar_to_utf8(c, text + 1)] = 0;
    dms_split_begin(&split, splitter, text, strlen(text));
    if ((dms_split_next(&split, &why) > 1) != blank) g_error("U+%04X", c);
    dms_split_end(&split);
  }
  dms_splitter_free(splitter);
}

static void test_refused(void) {
  static const char *const bad[] = {
      "^a",
      "a$",
      "\\w+",
      "\\bx",
      "\\d{2}?",
      "\\d{2}+",
      "a{,3}",
      "\\p{Han}+",
      "\\p{^L}",
      "\\pL",
      "[[:alpha:]]+",
      "[a&&b]",
      "[]a]",
      "[a",
      "(?<=x)y",
      "(?<n>x)",
      "(?i)x",
      "(?P<n>x)",
      "(*ACCEPT)",
      "(a)\\1",
      "\\x{41}",
      "\\Qa\\E",
      "\\Aa",
      "a\\",
      "(?i:strasse)",
      "(?i:[\xc3\x9f])",
      "(?i:\\p{Lu})",
      "a*",
      "x|",
      "(",
      "a)",
      "\\R",
      "\\h",
      "\\K",
      "+",
      "a**b{",
      "[z-a]",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *why = NULL;
    if (dms_splitter_new(bad[i], &why)) g_error("%s should be refused", bad[i]);
    g_assert_nonnull(why);
    g_assert_true(strlen(why) > 5);
  }
}

static void test_translated(void) {
  static const char *const same[] = {
      "\\p{N}{1,3}",      "[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++",
      "(?>a+)(?:b|c)*?d", " ?[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]+",
      "(?i:'[sdmt]|'ll)", "\\d+\\.\\D",
      "(?=a)a(?!b)",      "\xe4\xb8\x80+",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(same); i++) {
    g_autofree char *why = NULL, *got = dms_pattern_translate(same[i], &why);
    g_assert_cmpstr(why, ==, NULL);
    g_assert_cmpstr(got, ==, same[i]);
    dms_splitter_free(splitter_or_die(same[i]));
  }
  char *why = NULL;
  g_autofree char *got = dms_pattern_translate("\\s+[^\\S\\n]", &why);
  g_assert_cmpstr(got, ==, "\\p{White_Space}+[^\\P{White_Space}\\n]");
}

/* Megabytes of the same: linear, by hand and by PCRE2. */
static void test_long_runs(void) {
  static const char *const units[] = {" ",   "a", "\n", "'", "1", "\xe3\x80\x80", "\xc3\xa9", "\xe2\x80\x9c",
                                      " \n", "'s"};
  DmsSplitter *splitter = splitter_or_die(llama_pattern);
  for (gsize u = 0; u < G_N_ELEMENTS(units); u++) {
    g_autoptr(GString) text = g_string_new(NULL);
    while (text->len < 1 << 20) g_string_append(text, units[u]);
    g_string_append(text, "x");
    g_autofree char *got = words(splitter, text->str, FALSE);
    g_assert_nonnull(got);
  }
  dms_splitter_free(splitter);
}

/* A pattern that would take for ever is given up with a message. */
static void test_catastrophe(void) {
  DmsSplitter *splitter = splitter_or_die("(?:a+)+b|c");
  g_autofree char *text = g_strnfill(4000, 'a'), *why = NULL;
  DmsSplit split;
  dms_split_begin(&split, splitter, text, 4000);
  gssize n = dms_split_next(&split, &why);
  g_assert_cmpint(n, ==, -1);
  g_assert_nonnull(strstr(why, "match limit"));
  dms_split_end(&split);
  dms_splitter_free(splitter);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/splitter/words", test_words);
  g_test_add_func("/splitter/all-short-texts", test_all_short_texts);
  g_test_add_func("/splitter/random-texts", test_random_texts);
  g_test_add_func("/splitter/blanks", test_blanks);
  g_test_add_func("/splitter/refused", test_refused);
  g_test_add_func("/splitter/translated", test_translated);
  g_test_add_func("/splitter/long-runs", test_long_runs);
  g_test_add_func("/splitter/catastrophe", test_catastrophe);
  return g_test_run();
}
