/* The parser of math_parse.c and math_atoms.c. */
#ifndef HYPERSCALE_GRADING_MATH_PARSER_H
#define HYPERSCALE_GRADING_MATH_PARSER_H

#include "grading/math_tokens.h"

G_BEGIN_DECLS

typedef struct {
  GArray *tokens;
  guint at;
  MathTree *tree;
  int depth; /* of brackets and exponents */
  int bars;  /* open | */
  gboolean failed;
} Parser;

static inline MathToken *peek(const Parser *parser, guint ahead) {
  guint last = parser->tokens->len - 1;
  return &g_array_index(parser->tokens, MathToken, MIN(parser->at + ahead, last));
}
static inline int kind(const Parser *parser) {
  return peek(parser, 0)->kind;
}

/* Once a limit is met every token reads as the end, so that all loops end. */
static inline gboolean accept(Parser *parser, int wanted) {
  if (kind(parser) != wanted || parser->failed) return FALSE;
  parser->at++;
  return TRUE;
}

static inline MathNode *fail(Parser *parser) {
  parser->failed = TRUE;
  parser->at = parser->tokens->len - 1;
  return grade_math_number(parser->tree, 0, 1);
}

/* ---- math_atoms.c ------------------------------------------------------------------------------------------------ */

/* Steps over a group, or one token, and says where it stood. FALSE and failed at the end. */
gboolean grade_math_skip_script(Parser *parser, const char **start, const char **end);
/* The same, appended to a name by grade_math_append_script(): x_{n+1} and x_{n + 1} are one variable. */
void grade_math_parse_raw(Parser *parser, GString *name, const char *mark);
/* A variable with its subscript and its primes; sums, integrals and limits with their bounds; f(x), a call. */
MathNode *grade_math_parse_name(Parser *parser);
/* A number; 1\frac{4}{5} is a mixed number, 21_{5} has a base. */
MathNode *grade_math_parse_number(Parser *parser);
/* An index, a base or an exponent: a group, a number that ends with its digits, or a primary. */
MathNode *grade_math_parse_script(Parser *parser);
/* What follows \frac and its like: a group, or one token, of which a number gives one digit. */
MathNode *grade_math_parse_argument(Parser *parser);

/* ---- math_parse.c ------------------------------------------------------------------------------------------------ */

MathNode *grade_math_parse_primary(Parser *parser);
/* ( ) [ ): one item is a group, several a tuple or an interval. */
MathNode *grade_math_parse_bracket(Parser *parser);
/* { } is a group, \{ \} a set. */
MathNode *grade_math_parse_braces(Parser *parser, int open, int close);

G_END_DECLS

#endif
