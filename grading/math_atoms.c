/* The parser's smallest parts: numbers, names, and what stands in the scripts and arguments of LaTeX. */
#include "grading/math_parser.h"

#include <string.h>

MathNode *grade_math_parse_script(Parser *parser) {
  if (kind(parser) == '{') return grade_math_parse_braces(parser, '{', '}');
  if (kind(parser) != MATH_TOKEN_NUMBER) return grade_math_parse_primary(parser);
  MathNode *number = grade_math_literal(parser->tree, peek(parser, 0)->text);
  parser->at++;
  return number;
}

MathNode *grade_math_parse_argument(Parser *parser) {
  MathToken *token = peek(parser, 0);
  if (token->kind == '{') return grade_math_parse_braces(parser, '{', '}');
  if (token->kind != MATH_TOKEN_NUMBER) return grade_math_parse_primary(parser);
  if (!g_ascii_isdigit(*token->text)) return fail(parser);
  MathNode *digit = grade_math_number(parser->tree, *token->text - '0', 1);
  memmove(token->text, token->text + 1, strlen(token->text));
  if (*token->text == '\0') parser->at++;
  return digit;
}

gboolean grade_math_skip_script(Parser *parser, const char **start, const char **end) {
  int depth = 0;
  *start = peek(parser, 0)->start;
  do {
    const MathToken *token = peek(parser, 0);
    depth += (token->kind == '{') - (token->kind == '}');
    if (token->kind == MATH_TOKEN_END || depth < 0) {
      fail(parser);
      return FALSE;
    }
    *end = token->end;
    parser->at++;
  } while (depth > 0);
  return TRUE;
}

void grade_math_parse_raw(Parser *parser, GString *name, const char *mark) {
  const char *start, *end;
  if (grade_math_skip_script(parser, &start, &end)) grade_math_append_script(name, mark, start, end);
}

MathNode *grade_math_parse_name(Parser *parser) {
  g_autoptr(GString) name = g_string_new(peek(parser, 0)->text);
  static const char *const operators[] = {"\\sum", "\\prod", "\\int", "\\lim", "\\bigcup", "\\bigcap", NULL};
  gboolean bounded = g_strv_contains(operators, name->str);
  gboolean callable = name->len == 1 && strchr("fghFG", *name->str);
  parser->at++;
  if (g_str_equal(name->str, "pi") || g_str_equal(name->str, "\\pi"))
    return grade_math_leaf(parser->tree, MATH_PI, NULL);
  if (kind(parser) != '_' && name->len == 1) {
    if (*name->str == 'e') return grade_math_leaf(parser->tree, MATH_E, NULL);
    if (*name->str == 'i') return grade_math_leaf(parser->tree, MATH_I, NULL);
  }
  for (;;) {
    if (accept(parser, '_'))
      grade_math_parse_raw(parser, name, "_");
    else if (bounded && accept(parser, '^'))
      grade_math_parse_raw(parser, name, "^");
    else if (accept(parser, '\''))
      g_string_append_c(name, '\'');
    else
      break;
  }
  if (callable && kind(parser) == '(' && !peek(parser, 0)->space) {
    MathNode *argument = grade_math_parse_bracket(parser);
    MathNode *call = grade_math_unary(parser->tree, MATH_CALL, argument);
    call->name = grade_math_leaf(parser->tree, MATH_VARIABLE, name->str)->name;
    return call;
  }
  return grade_math_leaf(parser->tree, MATH_VARIABLE, name->str);
}

/* 0.1\overline{6} at its line: `text` is what stands before it. */
static MathNode *parse_repeating(Parser *parser, const char *text) {
  guint start = parser->at++;
  g_autoptr(GString) script = g_string_new(NULL);
  grade_math_parse_raw(parser, script, "");
  g_autofree char *digits = script->len > 2 ? g_strndup(script->str + 1, script->len - 2) : g_strdup("");
  gsize n = strlen(digits);
  if (n == 0 || strspn(digits, "0123456789") != n) { /* 3\overline{AB}: a product */
    parser->at = start;
    return grade_math_literal(parser->tree, text);
  }
  const char *point = strchr(text, '.');
  gsize decimals = point ? strlen(point + 1) : 0;
  if (n > 9 || decimals > 8) return fail(parser);
  int64_t scale = 1, nines = 1;
  for (gsize i = 0; i < decimals; i++) scale *= 10;
  for (gsize i = 0; i < n; i++) nines *= 10;
  MathNode *repeating = grade_math_divide(parser->tree, grade_math_literal(parser->tree, digits),
                                          grade_math_number(parser->tree, (nines - 1) * scale, 1));
  MathNode *whole = grade_math_literal(parser->tree, text);
  whole->decimal = FALSE;
  return grade_math_add(parser->tree, whole, repeating);
}

static gboolean is_integer(const MathToken *token) {
  return token->kind == MATH_TOKEN_NUMBER && !strchr(token->text, '.');
}

/* The tokens of a proper fraction of integers that stand next, as in 1\frac{4}{5}, 1\frac45 and 1 4/5; 0 when there
 * is none. Sets the fraction. */
static guint proper_fraction(Parser *parser, guint64 *numerator, guint64 *denominator) {
  const MathToken *top, *bottom;
  guint n;
  if (is_integer(peek(parser, 0)) && peek(parser, 1)->kind == '/' && is_integer(peek(parser, 2))) {
    top = peek(parser, 0);
    bottom = peek(parser, 2);
    n = 3;
  } else if (kind(parser) != MATH_TOKEN_FRACTION)
    return 0;
  else if (is_integer(peek(parser, 1)) && strlen(peek(parser, 1)->text) == 2) {
    *numerator = (guint64)(peek(parser, 1)->text[0] - '0');
    *denominator = (guint64)(peek(parser, 1)->text[1] - '0');
    return *numerator < *denominator ? 2 : 0;
  } else {
    if (peek(parser, 1)->kind != '{' || peek(parser, 3)->kind != '}' || peek(parser, 4)->kind != '{' ||
        peek(parser, 6)->kind != '}')
      return 0;
    top = peek(parser, 2);
    bottom = peek(parser, 5);
    n = 7;
  }
  if (!is_integer(top) || !is_integer(bottom) || strlen(top->text) > 9 || strlen(bottom->text) > 9) return 0;
  *numerator = g_ascii_strtoull(top->text, NULL, 10);
  *denominator = g_ascii_strtoull(bottom->text, NULL, 10);
  return *numerator < *denominator ? n : 0;
}

MathNode *grade_math_parse_number(Parser *parser) {
  const MathToken *token = peek(parser, 0);
  MathNode *number = grade_math_literal(parser->tree, token->text);
  parser->at++;
  if (kind(parser) == MATH_TOKEN_OVERLINE) return parse_repeating(parser, token->text);
  if (!is_integer(token)) return number;
  if (accept(parser, '_')) {
    MathNode *base = grade_math_parse_script(parser);
    if (base->kind != MATH_NUMBER || base->q != 1 || base->p < 2 || base->p > 36) return fail(parser);
    MathNode *based = grade_math_leaf(parser->tree, MATH_BASED, token->text);
    based->p = base->p;
    return based;
  }
  guint64 numerator, denominator;
  guint n = proper_fraction(parser, &numerator, &denominator);
  if (n == 0) return kind(parser) == MATH_TOKEN_NUMBER ? fail(parser) : number; /* 2 3 is nothing */
  parser->at += n;
  return grade_math_add(parser->tree, number,
                        grade_math_divide(parser->tree, grade_math_number(parser->tree, (int64_t)numerator, 1),
                                          grade_math_number(parser->tree, (int64_t)denominator, 1)));
}
