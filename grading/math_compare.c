/* Decides whether two answers are the same.
 *
 * Numbers and formulas are compared by value: exactly, modulo primes, where both are rational functions, else
 * numerically at random points. Around them: lists in any order, tuples and intervals in theirs, x = 5 as 5, 2 < x <
 * 3 as an interval, equations up to a factor, both signs of \pm, text as text. */
#include "grading/math.h"

#include <math.h>
#include <string.h>

enum {
  MAX_UNMATCHED = 50, /* items of two lists that are compared each with each, after the identical ones are gone */
  EXACT_POINTS = 3,
  NUMERIC_POINTS = 12,
};
static const guint64 primes[] = {2305843009213693951u, 4611686018427387847u}; /* 2^61 - 1, 2^62 - 57 */
/* Relative; the latter where a number may have been rounded. */
static const long double tolerance = 1e-10L, decimal_tolerance = 1e-6L;

static gboolean same(MathTree *scratch, const MathNode *a, const MathNode *b);

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static gboolean close_values(long double complex x, long double complex y, long double relative) {
  if (x == 0 || y == 0) return cabsl(x - y) < 1e-15L; /* sin(pi) */
  return cabsl(x - y) <= relative * MAX(cabsl(x), cabsl(y));
}

/* Numerically. Points where a real formula has no real value for one of the two (a root of a negative number) do not
 * count. */
static gboolean same_numerically(const MathNode *a, const MathNode *b) {
  long double complex x, y;
  gboolean decimal = a->decimal || b->decimal, constant = grade_math_is_constant(a) && grade_math_is_constant(b);
  gboolean complex_formula = grade_math_contains(a, MATH_I) || grade_math_contains(b, MATH_I);
  int compared = 0;
  for (int i = 0; i < (constant ? 1 : NUMERIC_POINTS); i++) {
    MathPoint point = {.seed = 0x5eed0000u + (guint64)i, .negative = i % 2 == 1};
    if (!grade_math_evaluate_numeric(a, &point, &x) || !grade_math_evaluate_numeric(b, &point, &y)) continue;
    gboolean real = fabsl(cimagl(x)) <= tolerance * cabsl(x) && fabsl(cimagl(y)) <= tolerance * cabsl(y);
    if (!constant && !complex_formula && !real) continue;
    if (!close_values(x, y, decimal ? decimal_tolerance : tolerance)) return FALSE;
    compared++;
  }
  return compared >= (constant ? 1 : NUMERIC_POINTS / 4);
}

typedef enum { UNKNOWN, EQUAL, DIFFERENT } Answer;

static Answer compare_exactly(const MathNode *a, const MathNode *b) {
  guint64 x, y;
  int compared = 0;
  for (int i = 0; i < EXACT_POINTS; i++) {
    MathPoint point = {.seed = 0xe8ac7000u + (guint64)i, .prime = primes[i % 2]};
    if (!grade_math_evaluate_modular(a, &point, &x) || !grade_math_evaluate_modular(b, &point, &y)) continue;
    if (x != y) return DIFFERENT;
    compared++;
  }
  return compared >= 2 ? EQUAL : UNKNOWN;
}

static gboolean same_value(const MathNode *a, const MathNode *b) {
  Answer exact = compare_exactly(a, b);
  if (exact == EQUAL) return TRUE;
  if (exact == DIFFERENT && !((a->decimal || b->decimal) && grade_math_is_constant(a) && grade_math_is_constant(b)))
    return FALSE;
  return same_numerically(a, b);
}

/* Digits in a base: the base may go without saying, but another base is another answer. */
static gboolean same_based(const MathNode *a, const MathNode *b) {
  if (a->kind == b->kind) return a->p == b->p && g_str_equal(a->name, b->name);
  g_autofree char *digits = grade_math_print(a->kind == MATH_BASED ? b : a);
  return g_str_equal(a->kind == MATH_BASED ? a->name : b->name, digits);
}

/* 10 % is 0.1, and also 10 where percents are asked for. */
static gboolean same_scalar(const MathNode *a, const MathNode *b) {
  if (a->kind == MATH_BASED || b->kind == MATH_BASED) return same_based(a, b);
  if (same_value(a, b)) return TRUE;
  if ((a->kind == MATH_PERCENTAGE) == (b->kind == MATH_PERCENTAGE)) return FALSE;
  return a->kind == MATH_PERCENTAGE ? same_value(a->child[0], b) : same_value(a, b->child[0]);
}

/* ---- Relations --------------------------------------------------------------------------------------------------- */

/* Whether a node only names something, as the left side of x = 5, (p, q) = (3, 2), |AB| = 1 or f(x) = 3 does. */
static gboolean is_name(const MathNode *node) {
  switch (node->kind) {
  case MATH_VARIABLE:
  case MATH_TEXT:
  case MATH_E:
  case MATH_I:
    return TRUE;
  case MATH_CALL:
    return node->n > 0;
  case MATH_MULTIPLY:
  case MATH_POWER: /* AB / CD */
  case MATH_BRACKET:
  case MATH_RATIO:
    for (int i = 0; i < node->n; i++)
      if (!is_name(node->child[i]) && !(node->kind == MATH_POWER && i == 1)) return FALSE;
    return TRUE;
  case MATH_FUNCTION:
    return node->function == MATH_ABS && is_name(node->child[0]);
  default:
    return FALSE;
  }
}

const MathNode *grade_math_stated_value(const MathNode *node) {
  if (node->kind != MATH_RELATION) return node;
  if (g_str_equal(node->name, "i")) return is_name(node->child[0]) ? node->child[1] : node;
  if (strspn(node->name, "=a") != strlen(node->name)) return node;
  int exact = (int)strcspn(node->name, "a"); /* relations before the first "about" */
  if (exact == 0) return is_name(node->child[0]) ? node->child[1] : node->child[0];
  if (node->n == 2 && !is_name(node->child[0])) return node;
  return node->child[exact];
}

/* The difference of the sides of a relation of two, so that it says: difference (relation) 0. > and >= are turned
 * round. */
static const MathNode *difference(MathTree *scratch, const MathNode *node, char *relation) {
  gboolean turn = strchr(">g", *node->name) != NULL;
  *relation = *node->name == '>' ? '<' : *node->name == 'g' ? 'l' : *node->name;
  return grade_math_add(scratch, node->child[turn ? 1 : 0], grade_math_negate(scratch, node->child[turn ? 0 : 1]));
}

/* Whether a(x) b(y) = a(y) b(x) modulo a prime; TRUE where that cannot be computed. */
static gboolean proportional_exactly(const MathNode *a, const MathNode *b) {
  guint64 at_a[2], at_b[2], prime = primes[0];
  for (int i = 0; i < 2; i++) {
    MathPoint point = {.seed = (guint64)i, .prime = prime};
    if (!grade_math_evaluate_modular(a, &point, &at_a[i]) || !grade_math_evaluate_modular(b, &point, &at_b[i]))
      return TRUE;
  }
  return (unsigned __int128)at_a[0] * at_b[1] % prime == (unsigned __int128)at_a[1] * at_b[0] % prime;
}

/* Whether a = c b for a number c, which must be positive for inequalities. */
static gboolean proportional(const MathNode *a, const MathNode *b, gboolean positive) {
  long double complex x[2], y[2];
  gboolean any = FALSE;
  if (!proportional_exactly(a, b)) return FALSE;
  for (guint64 seed = 0; seed < NUMERIC_POINTS; seed += 2) {
    gboolean valid = TRUE;
    for (int i = 0; i < 2 && valid; i++) {
      MathPoint point = {.seed = seed + (guint64)i, .negative = i == 1};
      valid = grade_math_evaluate_numeric(a, &point, &x[i]) && grade_math_evaluate_numeric(b, &point, &y[i]);
    }
    if (!valid) continue;
    if (!close_values(x[0] * y[1], x[1] * y[0], 1e-9L) || x[0] == 0 || y[0] == 0) return FALSE;
    if (positive && creall(x[0] / y[0]) < 0) return FALSE;
    any = TRUE;
  }
  return any;
}

static gboolean same_relation(MathTree *scratch, const MathNode *a, const MathNode *b) {
  if (a->n == 2 && b->n == 2 && grade_math_is_scalar(a->child[0]) && grade_math_is_scalar(a->child[1]) &&
      grade_math_is_scalar(b->child[0]) && grade_math_is_scalar(b->child[1])) {
    char x, y;
    const MathNode *left = difference(scratch, a, &x), *right = difference(scratch, b, &y);
    return x == y && proportional(left, right, strchr("<l", x) != NULL);
  }
  if (a->n != b->n) return FALSE;
  gboolean forward = g_str_equal(a->name, b->name), backward = TRUE;
  for (int i = 0; i < a->n; i++) {
    int j = a->n - 1 - i;
    forward = forward && same(scratch, a->child[i], b->child[i]);
    if (i + 1 < a->n) { /* a < b reads b > a */
      static const char relations[] = "=n<>lgai", turned[] = "=n><gla!";
      backward = backward && turned[strchr(relations, a->name[i]) - relations] == b->name[j - 1];
    }
  }
  for (int i = 0; i < a->n && backward && !forward; i++) backward = same(scratch, a->child[i], b->child[a->n - 1 - i]);
  return forward || backward;
}

/* An interval; a bound that is NULL is infinite. */
static MathNode *interval(MathTree *scratch, char open, MathNode *low, MathNode *high, char close) {
  MathNode *infinity = grade_math_leaf(scratch, MATH_INFINITY, NULL);
  if (!low) low = grade_math_negate(scratch, infinity);
  if (!high) high = infinity;
  MathNode *node = grade_math_node(scratch, MATH_BRACKET, (MathNode *[]){low, high}, 2);
  node->open = open;
  node->close = close;
  return node;
}

/* The set that a node describes: 2 < x <= 3, x > 2 and x >= 2 an interval, x != 2 two, \mathbb{R} all of the line; NULL
 * for anything else. */
static const MathNode *as_set(MathTree *scratch, const MathNode *node) {
  if (node->kind == MATH_VARIABLE && g_str_equal(node->name, "\\mathbb{R}"))
    return interval(scratch, '(', NULL, NULL, ')');
  if (node->kind != MATH_RELATION || strspn(node->name, "<>lgn") != strlen(node->name) || node->n > 3) return NULL;
  int name = node->n == 3 || !is_name(node->child[0]) ? 1 : 0;
  if (!is_name(node->child[name])) return NULL;
  if (g_str_equal(node->name, "n")) {
    MathNode *hole = node->child[1 - name];
    MathNode *sides[] = {interval(scratch, '(', NULL, hole, ')'), interval(scratch, '(', hole, NULL, ')')};
    return grade_math_node(scratch, MATH_UNION, sides, 2);
  }
  MathNode *low = NULL, *high = NULL;
  char open = '(', close = ')';
  for (int i = 0; i < node->n - 1; i++) {
    char relation = node->name[i];
    gboolean name_left = i == name, less = relation == '<' || relation == 'l',
             included = relation == 'l' || relation == 'g';
    MathNode *bound = node->child[name_left ? i + 1 : i];
    if (relation == 'n' || (less == name_left ? high : low)) return NULL;
    if (less == name_left) { /* x < bound, bound > x */
      high = bound;
      close = included ? ']' : ')';
    } else {
      low = bound;
      open = included ? '[' : '(';
    }
  }
  return interval(scratch, open, low, high, close);
}

/* ---- Lists ------------------------------------------------------------------------------------------------------- */

/* The node with \pm read as its upper (1) or its lower (-1) sign. */
static MathNode *choose_sign(MathTree *scratch, MathNode *node, int sign) {
  if (!grade_math_contains(node, MATH_PLUS_MINUS) || scratch->broken) return node;
  g_autofree MathNode **child = g_new(MathNode *, node->n);
  for (int i = 0; i < node->n; i++) child[i] = choose_sign(scratch, node->child[i], sign);
  MathNode *result;
  switch (node->kind) {
  case MATH_PLUS_MINUS:
    return sign * node->sign > 0 ? child[0] : grade_math_negate(scratch, child[0]);
  case MATH_ADD:
  case MATH_MULTIPLY:
    result = child[0];
    for (int i = 1; i < node->n; i++)
      result = node->kind == MATH_ADD ? grade_math_add(scratch, result, child[i])
                                      : grade_math_multiply(scratch, result, child[i]);
    return result;
  case MATH_POWER:
    return grade_math_power(scratch, child[0], child[1]);
  case MATH_FUNCTION:
    return grade_math_function(scratch, node->function, child[0], node->n > 1 ? child[1] : NULL);
  default:
    result = grade_math_node(scratch, node->kind, child, node->n);
    result->name = node->name;
    result->open = node->open;
    result->close = node->close;
    result->rows = node->rows;
    return result;
  }
}

/* The items of a list, a set or a union; of a formula with \pm its two values; else the node alone. */
static void collect_items(MathTree *scratch, const MathNode *node, GPtrArray *items) {
  const MathNode *value = grade_math_stated_value(node);
  if (node->kind == MATH_LIST || node->kind == MATH_SET || node->kind == MATH_UNION)
    for (int i = 0; i < node->n; i++) collect_items(scratch, node->child[i], items);
  else if (value != node && (value->kind == MATH_SET || value->kind == MATH_UNION || value->kind == MATH_LIST))
    collect_items(scratch, value, items);
  else if (grade_math_contains(node, MATH_PLUS_MINUS))
    for (int sign = 1; sign >= -1; sign -= 2) g_ptr_array_add(items, choose_sign(scratch, (MathNode *)node, sign));
  else
    g_ptr_array_add(items, (gpointer)node);
}

static gboolean same_in_order(MathTree *scratch, const MathNode *a, const MathNode *b) {
  gboolean equal = a->n == b->n;
  for (int i = 0; i < a->n && equal; i++) equal = same(scratch, a->child[i], b->child[i]);
  return equal;
}

/* Whether the items of two lists can be paired, repetitions aside. Identical ones go first, so that only the rest is
 * compared each with each. */
static gboolean same_in_any_order(MathTree *scratch, GPtrArray *a, GPtrArray *b) {
  g_autoptr(GHashTable) only_a = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GHashTable) only_b = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < a->len; i++) g_hash_table_insert(only_a, grade_math_print(a->pdata[i]), a->pdata[i]);
  for (guint i = 0; i < b->len; i++) g_hash_table_insert(only_b, grade_math_print(b->pdata[i]), b->pdata[i]);
  g_autoptr(GList) texts = g_hash_table_get_keys(only_a);
  for (GList *text = texts; text; text = text->next)
    if (g_hash_table_remove(only_b, text->data)) g_hash_table_remove(only_a, text->data);
  guint n = g_hash_table_size(only_a);
  if (n != g_hash_table_size(only_b) || n > MAX_UNMATCHED) return FALSE;

  GHashTableIter iterator, others;
  gpointer x, y;
  g_hash_table_iter_init(&iterator, only_a);
  while (g_hash_table_iter_next(&iterator, NULL, &x)) {
    gboolean paired = FALSE;
    g_hash_table_iter_init(&others, only_b);
    while (!paired && g_hash_table_iter_next(&others, NULL, &y)) paired = same(scratch, x, y);
    if (!paired) return FALSE;
    g_hash_table_iter_remove(&others);
  }
  return TRUE;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

static gboolean same_words(const MathNode *a, const MathNode *b) {
  g_autofree char *x = grade_math_plain(a->name, strlen(a->name)), *y = grade_math_plain(b->name, strlen(b->name));
  return g_str_equal(x, y);
}

static gboolean is_list(const MathNode *node) {
  return node->kind == MATH_LIST || node->kind == MATH_SET || node->kind == MATH_UNION ||
         grade_math_contains(node, MATH_PLUS_MINUS);
}

static gboolean is_vector(const MathNode *node) {
  return (node->kind == MATH_BRACKET && node->open == '(' && node->close == ')') ||
         (node->kind == MATH_MATRIX && (node->rows == 1 || node->rows == node->n));
}

static gboolean same(MathTree *scratch, const MathNode *a, const MathNode *b) {
  if (scratch->broken || ++scratch->nodes > MATH_MAX_NODES) return FALSE; /* enough work for one answer */
  g_autofree char *text_a = grade_math_print(a), *text_b = grade_math_print(b);
  if (g_str_equal(text_a, text_b)) return TRUE;
  if (a->kind == MATH_TEXT || b->kind == MATH_TEXT) return a->kind == b->kind && same_words(a, b);
  if (grade_math_is_scalar(a) && grade_math_is_scalar(b) && !grade_math_contains(a, MATH_PLUS_MINUS) &&
      !grade_math_contains(b, MATH_PLUS_MINUS))
    return same_scalar(a, b);

  if (a->kind == MATH_RELATION && b->kind == MATH_RELATION && same_relation(scratch, a, b)) return TRUE;
  const MathNode *value_a = grade_math_stated_value(a), *value_b = grade_math_stated_value(b);
  if (value_a != a && value_b != b) /* x = 3 and y = 3; but not y = 2x and x = 2y */
    return grade_math_is_constant(value_a) && grade_math_is_constant(value_b) && same(scratch, value_a, value_b);
  if (value_a != a || value_b != b) return same(scratch, value_a, value_b);

  const MathNode *set_a = as_set(scratch, a), *set_b = as_set(scratch, b);
  if (set_a || set_b) return same(scratch, set_a ? set_a : a, set_b ? set_b : b);

  if ((a->kind == MATH_LIST && is_vector(b)) || (b->kind == MATH_LIST && is_vector(a)))
    return same_in_order(scratch, a, b);
  if (is_list(a) || is_list(b)) {
    g_autoptr(GPtrArray) items_a = g_ptr_array_new(), items_b = g_ptr_array_new();
    collect_items(scratch, a, items_a);
    collect_items(scratch, b, items_b);
    if (items_a->len == 1 && items_b->len == 1) return same(scratch, items_a->pdata[0], items_b->pdata[0]);
    return same_in_any_order(scratch, items_a, items_b);
  }
  if (a->kind == MATH_MATRIX && b->kind == MATH_MATRIX) return a->rows == b->rows && same_in_order(scratch, a, b);
  if (is_vector(a) && is_vector(b)) return same_in_order(scratch, a, b);
  if (a->kind == MATH_BRACKET && b->kind == MATH_BRACKET)
    return a->open == b->open && a->close == b->close && same_in_order(scratch, a, b);
  if (a->kind == MATH_RATIO && b->kind == MATH_RATIO) return same_in_order(scratch, a, b);
  return FALSE;
}

gboolean grade_math_trees_equal(const MathTree *a, const MathTree *b) {
  if (a->root->kind == MATH_TEXT || b->root->kind == MATH_TEXT) return g_str_equal(a->plain, b->plain);
  MathTree scratch = {.owned = g_ptr_array_new_with_free_func(g_free)};
  gboolean equal = same(&scratch, a->root, b->root);
  g_ptr_array_unref(scratch.owned);
  return equal;
}
