/* Mathematical answers as expression trees: what the files math_*.c share. Tokens are in math_tokens.h.
 *
 * math_lex.c cuts LaTeX into tokens, math_parse.c makes a tree of them, math_build.c makes the nodes (and does exact
 * arithmetic on fractions where it can), math_print.c writes the canonical form, math_evaluate.c computes a tree at
 * a point, math_compare.c decides whether two answers are the same, math_extract.c finds the answer in a text.
 *
 * The text is hostile. A tree has at most MATH_MAX_NODES nodes and MATH_MAX_DEPTH levels, an answer at most
 * MATH_MAX_BYTES bytes; nothing is computed whose cost grows faster than the tree: a power is exact where it fits
 * into 64 bits and is left standing where it does not. */
#ifndef HYPERSCALE_GRADING_MATH_H
#define HYPERSCALE_GRADING_MATH_H

#include <complex.h>
#include <glib.h>
#include <stdint.h>

G_BEGIN_DECLS

enum { MATH_MAX_BYTES = 2000, MATH_MAX_NODES = 4000, MATH_MAX_DEPTH = 60 };

/* ---- Trees ------------------------------------------------------------------------------------------------------- */

/* In groups that code relies on: up to MATH_TAN with an inverse, up to MATH_CSC of an angle, up to MATH_LN written with
 * their name in front of the argument. */
typedef enum {
  MATH_SIN,
  MATH_COS,
  MATH_TAN,
  MATH_COT,
  MATH_SEC,
  MATH_CSC,
  MATH_ARCSIN,
  MATH_ARCCOS,
  MATH_ARCTAN,
  MATH_SINH,
  MATH_COSH,
  MATH_TANH,
  MATH_LOG,  /* children: argument, base */
  MATH_LN,   /* of tokens only: a MATH_LOG in trees */
  MATH_EXP,  /* of tokens only: a MATH_POWER */
  MATH_ROOT, /* children: radicand, index */
  MATH_ABS,
  MATH_FLOOR,
  MATH_CEILING,
  MATH_FACTORIAL,
  MATH_BINOMIAL,
} MathFunction;

typedef enum {
  MATH_NUMBER,  /* p / q */
  MATH_LITERAL, /* `name`: a number too long for that */
  MATH_PI,
  MATH_E,
  MATH_I,
  MATH_INFINITY,
  MATH_VARIABLE, /* `name` */
  MATH_CALL,     /* `name`(children): a function that is not computed */
  MATH_FUNCTION,
  MATH_ADD,
  MATH_MULTIPLY,
  MATH_POWER,      /* base, exponent */
  MATH_PLUS_MINUS, /* one child; sign: 1 for \pm, -1 for \mp */
  MATH_DEGREES,    /* one child */
  MATH_PERCENTAGE, /* one child */
  MATH_BASED,      /* `name`: digits in base p */
  MATH_RATIO,      /* a : b : c */
  MATH_BRACKET,    /* a tuple or an interval: `open`, `close` */
  MATH_SET,
  MATH_LIST, /* a, b and c: in no order */
  MATH_UNION,
  MATH_MATRIX,   /* `rows` rows, by rows */
  MATH_RELATION, /* children with name[i] between i and i + 1: = < > l (<=) g (>=) n (!=) i (in) a (about) */
  MATH_TEXT,     /* `name` */
} MathKind;

typedef struct MathNode MathNode;
struct MathNode {
  MathKind kind;
  MathFunction function;
  gboolean decimal; /* a number below was written with a point, so it may be rounded */
  int64_t p, q;     /* MATH_NUMBER: lowest terms, q > 0 */
  const char *name;
  char open, close;
  int sign, rows, depth;
  int n;
  MathNode **child; /* [n] */
};

/* Whether a node is a number or stands for one, so that arithmetic with it makes sense. */
static inline gboolean grade_math_is_scalar(const MathNode *node) {
  return node->kind <= MATH_BASED;
}

/* Owns the nodes of one answer. */
typedef struct {
  GPtrArray *owned;
  int nodes;
  gboolean broken;    /* a limit was met, 1/0, arithmetic on what is no number: the tree is not to be used */
  gboolean ambiguous; /* commas could be read in two ways */
  const MathNode *root;
  char *plain; /* grade_math_plain() of the answer */
} MathTree;

/* Never fails: what cannot be parsed becomes one MATH_TEXT node. */
MathTree *grade_math_parse(const char *text, gsize length, gboolean separate);
void grade_math_tree_free(MathTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MathTree, grade_math_tree_free)

/* An answer as words to compare when it is no formula: lower-case, without braces, quotes, the commands that only
 * set type, punctuation at its end, and without blanks but between two words. `text` has no NUL. g_free(). */
char *grade_math_plain(const char *text, gsize length);

/* ---- Building (math_build.c) ----------------------------------------------------------------------------------- */

/* Every node is made here, simplified as far as exact arithmetic goes. Children may be shared. */

MathNode *grade_math_leaf(MathTree *tree, MathKind kind, const char *name);
MathNode *grade_math_number(MathTree *tree, int64_t p, int64_t q);
MathNode *grade_math_literal(MathTree *tree, const char *digits); /* a NUMBER where it fits */
MathNode *grade_math_node(MathTree *tree, MathKind kind, MathNode *const *child, int n);
MathNode *grade_math_unary(MathTree *tree, MathKind kind, MathNode *a);
MathNode *grade_math_function(MathTree *tree, MathFunction function, MathNode *a, MathNode *b); /* b may be NULL */
MathNode *grade_math_add(MathTree *tree, MathNode *a, MathNode *b);
MathNode *grade_math_multiply(MathTree *tree, MathNode *a, MathNode *b);
MathNode *grade_math_power(MathTree *tree, MathNode *base, MathNode *exponent);
MathNode *grade_math_negate(MathTree *tree, MathNode *a);
MathNode *grade_math_divide(MathTree *tree, MathNode *a, MathNode *b);

/* ---- Printing, evaluating, comparing ----------------------------------------------------------------------------- */

/* The tree as LaTeX, with the operands of sums and products sorted: equal simple answers give equal strings, and
 * what is printed parses to an equal tree. g_free(). */
char *grade_math_print(const MathNode *node);

/* Where variables have values: a point is a seed. */
typedef struct {
  guint64 seed;
  guint64 prime;     /* modular evaluation */
  gboolean negative; /* numeric evaluation: variables may be negative */
} MathPoint;

/* The value modulo point->prime, exact at any size. FALSE where the tree is no rational function or divides by zero. */
gboolean grade_math_evaluate_modular(const MathNode *node, const MathPoint *point, guint64 *value);
/* The value as a complex number. FALSE where there is none. */
gboolean grade_math_evaluate_numeric(const MathNode *node, const MathPoint *point, long double complex *value);
/* Whether a node of `kind` is in the tree. */
gboolean grade_math_contains(const MathNode *node, MathKind kind);
gboolean grade_math_is_constant(const MathNode *node); /* no variables */

/* The value that a relation states: the right side of x = 5, the last one of a chain, what stands before a rounded
 * value, the set of x \in S. The node itself where it states none. */
const MathNode *grade_math_stated_value(const MathNode *node);

/* Whether two answers are the same. Symmetric. */
gboolean grade_math_trees_equal(const MathTree *a, const MathTree *b);

/* The answer in `text`, and the rule that found it: "final-answer", "boxed", "answer-is", "whole-text",
 * "last-formula"; without `guess` not the last of these. NULL when there is none. g_free(). */
char *grade_math_extract(const char *text, gsize length, gboolean guess, const char **rule);

G_END_DECLS

#endif
