/* Finds the answer to a mathematical problem in a text: what the last box holds, else what a sentence calls the
 * answer, else the whole text if it is nothing but a formula, else the last formula or number in it. */
#include "grading/answer.h"
#include "grading/math.h"

#include <string.h>

enum {
  BOX_GAP = 40,   /* bytes between boxes that together are one answer */
  SENTENCE = 300, /* bytes in which an answer ends */
  WHOLE = 200,    /* bytes of a text that is nothing but an answer */
  TAIL = 2000,    /* bytes from the end in which the last formula is looked for */
};

typedef enum {
  FINAL_ANSWER,
  ANSWER_IS,
  IS,
  FORMULA,
  LEADING_FORMULA,
  NUMBER,
  LEADING_VALUE,
  PROSE,
  SOME_WORDS,
  JOINT,
  N_PATTERNS
} Which;

/* clang-format off */
#define ONE_FORMULA \
  "\\$\\$[^$]{1,300}\\$\\$|\\$[^$]{1,300}\\$|\\\\\\((?s:.{1,300}?)\\\\\\)|\\\\\\[(?s:.{1,300}?)\\\\\\]"
#define SIDE_WORD "(?:(?:therefore|thus|simply|indeed|actually|just|approximately|about)\\b)"
#define LARGER "(?:hundred|thousand|million|billion|dozen)s?\\b"
#define NUMBER_WORD "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
#define COMMAND "\\\\(?:[a-zA-Z]+|.)"
#define PLAIN_WORD "(?<![\\\\\\w])(?!and\\b|or\\b)[a-z]{2,}\\b"
#define BETWEEN "(?:[^a-z\\\\]{1,20}|[^a-z\\\\]{1,20}[a-z][^a-z\\\\]{1,20})"

static const char *const sources[] = {
  /* Minerva's and Llama's sentence */
  [FINAL_ANSWER] = "(?is)final answer is:?\\s*(.{1,300}?)\\.?\\s{1,4}I hope it is correct",
  /* where the answer begins after "the answer is", "Answer:", the heading "Final answer" and the like; not after "the
   * answer is correct" */
  [ANSWER_IS] = "(?im)(?:\\banswers?\\b(?: [^.?!:\\n]{0,60}?)?(?:\\b(?:is|are|be)\\b|\\*{0,2}:)"
                "|\\bfinal answer\\*{0,2} ?\\n|<answer>"
                "|\xe7\xad\x94\xe6\xa1\x88(?:\xe6\x98\xaf|\xe4\xb8\xba|\xef\xbc\x9a)" /* Chinese */
                "|^####(?= \\$?-?\\d[\\d.,]{0,40}\\$?\\s*$))"
                "(?:[\\s:*]|" SIDE_WORD "){0,12}+()"
                "(?!(?:not|(?:in)?correct|right|wrong|consistent|reasonable|confirmed|clear|valid|as|in|that|what)\\b)",
  [IS] = "(?i)\\b(?:is|are|equals)\\b[\\s:*]{1,8}+" SIDE_WORD "?()",
  [FORMULA] = "(" ONE_FORMULA ")",
  [LEADING_FORMULA] = "^[^$\\\\\\n\\d]{0,20}?((?:" ONE_FORMULA ")(?:,?(?: and| or)? (?:" ONE_FORMULA ")){0,9})",
  [NUMBER] = "((?<![\\w.])-?(?:\\d[\\d,]{0,40}(?:\\.\\d{1,40})?|\\.\\d{1,40})"
             "(?:/\\d{1,20})?(?:_\\{?\\d{1,2}\\}?)?(?:\\\\?%)?)",
  /* a value in front of words: "12 inches per second", "three boxes hold ..." */
  [LEADING_VALUE] = "(?i)^([^\\s\\\\]*\\d[^\\s\\\\]*|" NUMBER_WORD ") (?!and\\b|or\\b|" LARGER ")[a-z]{2,}",
  [PROSE] = "(?i)(" PLAIN_WORD BETWEEN PLAIN_WORD BETWEEN PLAIN_WORD ")",
  [SOME_WORDS] = "(?i)(" PLAIN_WORD "(?:\\s?:|" BETWEEN PLAIN_WORD "))",
  /* what stands between two boxes: only type on one line, or an "and", an "or", a comma and perhaps "y =" */
  [JOINT] = "^((?:[ $()\\[\\]{}]|" COMMAND ")*|(?:[^.]*?\\b(?:and|or)\\b|(?:[\\s$()\\[\\]{}]|" COMMAND ")*[,;])"
            "(?:[\\s$()\\[\\]{}]|" COMMAND ")*(?:[a-zA-Z](?:_\\{?\\w+\\}?)?\\s*=\\s*)?)$",
};
/* clang-format on */

static gboolean find(Which which, const char *text, gsize length, gboolean last, gsize *start, gsize *end) {
  static GradePattern *compiled[N_PATTERNS];
  static gsize once;
  if (g_once_init_enter(&once)) {
    for (int i = 0; i < N_PATTERNS; i++) compiled[i] = grade_pattern_new(sources[i]);
    g_once_init_leave(&once, 1);
  }
  return grade_pattern_find(compiled[which], text, length, last, start, end);
}

static char *final_answer(const char *text, gsize length) {
  gsize start, end;
  if (!find(FINAL_ANSWER, text, length, TRUE, &start, &end)) return NULL;
  return memmem(text + start, end - start, "boxed", 5) ? NULL : g_strndup(text + start, end - start);
}

static char *boxed(const char *text, gsize length) {
  gsize n, start, before_n, before_start, from, to;
  const char *box = grade_last_boxed(text, length, &n, &start), *before;
  if (!box || n > MATH_MAX_BYTES) return NULL;
  GString *answer = g_string_new_len(box, (gssize)n);
  g_autoptr(GHashTable) said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_add(said, g_strdup(answer->str));
  while (answer->len < MATH_MAX_BYTES && (before = grade_last_boxed(text, start, &before_n, &before_start))) {
    const char *gap = before + before_n + 1;
    if (text + start - gap > BOX_GAP || !find(JOINT, gap, (gsize)(text + start - gap), FALSE, &from, &to)) break;
    start = before_start;
    char *one = g_strndup(before, before_n);
    if (!g_hash_table_contains(said, one)) {
      g_string_prepend(answer, ", ");
      g_string_prepend(answer, one);
    }
    g_hash_table_add(said, one);
  }
  return g_string_free(answer, FALSE);
}

static gboolean is_words(const char *answer, gsize length) {
  g_autoptr(MathTree) tree = grade_math_parse(answer, length, FALSE);
  return tree->root->kind == MATH_TEXT;
}

/* The end of the sentence that begins at `text`. */
static gsize sentence_length(const char *text, gsize length) {
  gsize n = 0;
  for (; n < length && n < SENTENCE && text[n] != '\n' && !(text[n] == '<' && n + 1 < length && text[n + 1] == '/');
       n++)
    if (text[n] == '.' && (n + 1 == length || g_ascii_isspace(text[n + 1]) || strchr("*$\"", text[n + 1]))) break;
  return n;
}

/* What follows the last "answer is": a formula, a value with its unit, else the last value in the sentence, else its
 * words. */
static char *after_answer_is(const char *text, gsize length) {
  gsize start, end, ignored;
  if (!find(ANSWER_IS, text, length, TRUE, &start, &end)) return NULL;
  text += start;
  length -= start;
  gsize n = sentence_length(text, length);
  if (find(IS, text, n, TRUE, &start, &end) && start < n) { /* Final answer: the volume is 120 */
    text += start;
    length -= start;
    n -= start;
  }
  if (find(LEADING_FORMULA, text, MIN(length, SENTENCE), FALSE, &start, &end) ||
      find(LEADING_VALUE, text, n, FALSE, &start, &end))
    return g_strndup(text + start, end - start);
  gboolean prose = find(PROSE, text, n, FALSE, &ignored, &ignored) || is_words(text, n);
  if (prose && (find(FORMULA, text, n, TRUE, &start, &end) || find(NUMBER, text, n, TRUE, &start, &end)))
    return g_strndup(text + start, end - start);
  g_autoptr(GString) sentence = g_string_new_len(text, (gssize)n);
  g_string_replace(sentence, "*", "", 0);
  g_strstrip(sentence->str);
  return *sentence->str ? g_strdup(sentence->str) : NULL;
}

static char *whole_text(const char *text, gsize length) {
  gsize start, end;
  while (length > 0 && g_ascii_isspace(*text)) text++, length--;
  while (length > 0 && g_ascii_isspace(text[length - 1])) length--;
  if (length == 0 || length > WHOLE) return NULL;
  gboolean formula = find(FORMULA, text, length, FALSE, &start, &end) && start == 0 && end == length;
  if (!formula && (find(SOME_WORDS, text, length, FALSE, &start, &end) || is_words(text, length))) return NULL;
  return g_strndup(text, length);
}

/* The last formula or number, whichever ends later. A formula that is only words gives way to the number. */
static char *last_formula(const char *text, gsize length) {
  if (length > TAIL) {
    text += length - TAIL;
    length = TAIL;
  }
  gsize start, end, number, number_end;
  gboolean any_number = find(NUMBER, text, length, TRUE, &number, &number_end);
  if (find(FORMULA, text, length, TRUE, &start, &end) && (!any_number || end > number_end) &&
      !is_words(text + start, end - start))
    return g_strndup(text + start, end - start);
  return any_number ? g_strndup(text + number, number_end - number) : NULL;
}

char *grade_math_extract(const char *text, gsize length, gboolean guess, const char **rule) {
  static const struct {
    const char *name;
    char *(*find)(const char *, gsize);
  } rules[] = {{"final-answer", final_answer},
               {"boxed", boxed},
               {"answer-is", after_answer_is},
               {"whole-text", whole_text},
               {"last-formula", last_formula}};
  for (guint i = 0; i < G_N_ELEMENTS(rules) - !guess; i++) {
    char *answer = rules[i].find(text, length);
    if (!answer) continue;
    *rule = rules[i].name;
    return answer;
  }
  return NULL;
}
