/* AIME answers: the integer in the last closed box, as it stands or as the value of a formula. */
#include "grading/answer.h"
#include "grading/math.h"

#include <math.h>
#include <string.h>

enum {
  MAX_PLAIN = 120
}; /* bytes of an integer with its separators: anything longer is no answer to a contest problem */

const char *grade_version_integer(void) {
  return "integer-1";
}

/* The length of the LaTeX command at `p` if it only sets type, else 0. */
static gsize type_command(const char *p, gsize length) {
  static const char *const commands[] = {"\\text", "\\textbf", "\\textrm", "\\textit",       "\\mathrm", "\\mathbf",
                                         "\\bf",   "\\rm",     "\\boxed",  "\\displaystyle", "\\mbox",   "\\bold"};
  gsize n = 1;
  while (n < length && g_ascii_isalpha(p[n])) n++;
  for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
    if (strlen(commands[i]) == n && memcmp(p, commands[i], n) == 0) return n;
  return 0;
}

/* `text` without what says nothing about a number; blanks and LaTeX spaces become one space. NULL when too long. */
static char *plain_number(const char *text, gsize length) {
  g_autoptr(GString) plain = g_string_new(NULL);
  for (gsize i = 0; i < length && plain->len <= MAX_PLAIN;) {
    const char *p = text + i;
    gsize left = length - i, n = 1, spaces = 0, type = *p == '\\' ? type_command(p, left) : 0;
    if (*p == '\0') return NULL;
    if (g_ascii_isspace(*p) || *p == '~')
      spaces = 1;
    else if (left > 1 && *p == '\\' && p[1] && strchr(",;:! ", p[1]))
      spaces = 2;
    else if (left > 1 && memcmp(p, "\xc2\xa0", 2) == 0)
      spaces = 2;
    if (type > 0)
      n = type;
    else if (spaces > 0) {
      n = spaces;
      if (plain->len > 0 && plain->str[plain->len - 1] != ' ') g_string_append_c(plain, ' ');
    } else if (left > 1 && memcmp(p, "\\$", 2) == 0)
      n = 2;
    else if (left > 2 && memcmp(p, "\xe2\x88\x92", 3) == 0) { /* U+2212 */
      n = 3;
      g_string_append_c(plain, '-');
    } else if (!strchr("{}$", *p))
      g_string_append_c(plain, *p);
    i += n;
  }
  if (plain->len > MAX_PLAIN) return NULL;
  return g_string_free(g_steal_pointer(&plain), FALSE);
}

char *grade_read_integer(const char *text, gsize length) {
  static gsize once;
  static GRegex *integer;
  if (g_once_init_enter(&once)) {
    integer = g_regex_new("^ ?([+-]?) ?(\\d+|\\d{1,3}(?:(?:, ?| )\\d{3})+)(?:\\.0*)? ?\\.? ?$",
                          G_REGEX_OPTIMIZE | G_REGEX_RAW, 0, NULL);
    g_once_init_leave(&once, 1);
  }
  g_autofree char *plain = plain_number(text, length);
  g_autoptr(GMatchInfo) match = NULL;
  if (!plain || !g_regex_match(integer, plain, 0, &match)) return NULL;

  g_autofree char *sign = g_match_info_fetch(match, 1), *digits = g_match_info_fetch(match, 2);
  GString *canonical = g_string_new(NULL);
  for (const char *d = digits; *d; d++)
    if (g_ascii_isdigit(*d) && (canonical->len > 0 || *d != '0')) g_string_append_c(canonical, *d);
  if (canonical->len == 0)
    g_string_append_c(canonical, '0');
  else if (*sign == '-')
    g_string_prepend_c(canonical, '-');
  return g_string_free(canonical, FALSE);
}

/* The value of a formula that is a number: digits where it is an integer, else its canonical form. NULL when it is
 * no number. */
static char *value_of_formula(const char *text, gsize length) {
  g_autoptr(MathTree) tree = grade_math_parse(text, length, FALSE);
  const MathNode *value = grade_math_stated_value(tree->root);
  if (value == tree->root && value->kind == MATH_RELATION && strchr("=", value->name[value->n - 2]))
    value = value->child[value->n - 1]; /* m + n = 33 */
  const MathPoint anywhere = {0};
  long double complex number;
  if (value->kind == MATH_PERCENTAGE) value = value->child[0];
  if (!grade_math_is_constant(value) || !grade_math_evaluate_numeric(value, &anywhere, &number)) return NULL;
  long double nearest = roundl(creall(number));
  if (fabsl(nearest) > 1e12L || cabsl(number - nearest) > 1e-9L) return grade_math_print(value);
  return g_strdup_printf("%.0Lf", nearest);
}

void grade_integer(const char *text, gsize length, const char *gold, GradeVerdict *verdict) {
  if (!grade_begin(verdict, &text, &length)) return;
  g_autofree char *expected = grade_read_integer(gold, strlen(gold));
  if (!expected) {
    g_autofree char *shown = grade_one_line(gold, strlen(gold));
    verdict->outcome = GRADE_UNGRADED;
    verdict->detail = g_strdup_printf("the expected answer \"%s\" is no integer: check the problem file", shown);
    return;
  }
  gsize box_length;
  const char *box = grade_last_boxed(text, length, &box_length, NULL);
  if (!box) {
    verdict->detail = g_strdup("no closed \\boxed{}");
    return;
  }
  g_autofree char *shown = grade_one_line(box, box_length);
  verdict->rule = "boxed";
  verdict->answer = grade_read_integer(box, box_length);
  if (!verdict->answer) {
    verdict->rule = "boxed-value";
    verdict->answer = value_of_formula(box, box_length);
  }
  if (!verdict->answer) {
    verdict->detail = g_strdup_printf("\\boxed{%s} is no number", shown);
    return;
  }
  verdict->outcome = g_str_equal(verdict->answer, expected) ? GRADE_CORRECT : GRADE_WRONG;
  verdict->detail = g_strdup_printf("\\boxed{%s}, expected %s", shown, expected);
}
