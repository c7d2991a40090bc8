/* Makes the nodes of a tree: exact arithmetic on fractions of 64-bit integers, sums and products flattened with
 * their numbers folded together. Where a result does not fit into 64 bits the operation is left standing. */
#include "grading/math.h"

#include <string.h>

void grade_math_tree_free(MathTree *tree) {
  g_ptr_array_unref(tree->owned);
  g_free(tree->plain);
  g_free(tree);
}

static gpointer own(MathTree *tree, gpointer memory) {
  g_ptr_array_add(tree->owned, memory);
  return memory;
}

static MathNode *new_node(MathTree *tree, MathKind kind) {
  if (++tree->nodes > MATH_MAX_NODES) tree->broken = TRUE;
  MathNode *node = own(tree, g_new0(MathNode, 1));
  node->kind = kind;
  node->depth = 1;
  return node;
}

MathNode *grade_math_leaf(MathTree *tree, MathKind kind, const char *name) {
  MathNode *node = new_node(tree, kind);
  node->name = name ? own(tree, g_strdup(name)) : NULL;
  return node;
}

/* a / b in lowest terms, FALSE when it does not fit or b is 0. */
static gboolean reduce(__int128 a, __int128 b, int64_t *p, int64_t *q) {
  if (b == 0) return FALSE;
  __int128 x = a < 0 ? -a : a, y = b < 0 ? -b : b;
  while (y != 0) {
    __int128 r = x % y;
    x = y;
    y = r;
  }
  if (b < 0) x = -x;
  a /= x;
  b /= x;
  if (a > INT64_MAX || a < -INT64_MAX || b > INT64_MAX) return FALSE;
  *p = (int64_t)a;
  *q = (int64_t)b;
  return TRUE;
}

MathNode *grade_math_number(MathTree *tree, int64_t p, int64_t q) {
  MathNode *node = new_node(tree, MATH_NUMBER);
  node->p = p;
  node->q = q;
  return node;
}

MathNode *grade_math_literal(MathTree *tree, const char *digits) {
  const char *point = strchr(digits, '.');
  __int128 p = 0, q = 1;
  int64_t fit_p, fit_q;
  gboolean fits = TRUE;
  for (const char *d = digits; *d && fits; d++) {
    if (*d == '.') continue;
    p = p * 10 + (*d - '0');
    if (point && d > point) q *= 10;
    fits = p <= (__int128)INT64_MAX * 1000 && q <= (__int128)INT64_MAX * 1000;
  }
  MathNode *node;
  if (fits && reduce(p, q, &fit_p, &fit_q))
    node = grade_math_number(tree, fit_p, fit_q);
  else
    node = grade_math_leaf(tree, MATH_LITERAL, digits);
  node->decimal = point != NULL;
  return node;
}

/* Whether arithmetic of `kind` makes sense with its children: numbers, and of the infinite ones only -1 times one. */
static gboolean makes_sense(MathKind kind, MathNode *const *child, int n) {
  for (int i = 0; i < n; i++) {
    gboolean minus_infinity = child[i]->kind == MATH_MULTIPLY && child[i]->child[1]->kind == MATH_INFINITY;
    if (!grade_math_is_scalar(child[i])) return FALSE;
    if (kind == MATH_PLUS_MINUS || (child[i]->kind != MATH_INFINITY && !minus_infinity)) continue;
    if (kind != MATH_MULTIPLY || n != 2 || child[0]->kind != MATH_NUMBER || child[0]->p != -1 || child[0]->q != 1)
      return FALSE;
  }
  return TRUE;
}

MathNode *grade_math_node(MathTree *tree, MathKind kind, MathNode *const *child, int n) {
  MathNode *node = new_node(tree, kind);
  node->child = own(tree, g_new(MathNode *, MAX(n, 1)));
  node->n = n;
  for (int i = 0; i < n; i++) {
    node->child[i] = child[i];
    node->depth = MAX(node->depth, child[i]->depth + 1);
    node->decimal |= child[i]->decimal;
  }
  if (kind >= MATH_FUNCTION && kind <= MATH_PERCENTAGE && !makes_sense(kind, child, n)) tree->broken = TRUE;
  if (node->depth > MATH_MAX_DEPTH) tree->broken = TRUE;
  return node;
}

MathNode *grade_math_unary(MathTree *tree, MathKind kind, MathNode *a) {
  return grade_math_node(tree, kind, &a, 1);
}

static MathNode *with_decimal(MathNode *node, gboolean decimal) {
  node->decimal |= decimal;
  return node;
}

/* Adds a number to those of a sum or a product, folded with any of them with which it fits into 64 bits: no two that
 * remain can be folded, so that they stay as they are when they are printed and read again. */
static void add_number(MathTree *tree, MathKind kind, GPtrArray *numbers, MathNode *number) {
  for (guint i = 0; i < numbers->len; i++) {
    const MathNode *other = numbers->pdata[i];
    __int128 p = kind == MATH_ADD ? (__int128)number->p * other->q + (__int128)other->p * number->q
                                  : (__int128)number->p * other->p;
    int64_t r, t;
    if (!reduce(p, (__int128)number->q * other->q, &r, &t)) continue;
    number = with_decimal(grade_math_number(tree, r, t), number->decimal || other->decimal);
    g_ptr_array_remove_index_fast(numbers, i);
    i = G_MAXUINT; /* once more from the first */
  }
  g_ptr_array_add(numbers, number);
}

static int compare_numbers(gconstpointer a, gconstpointer b) {
  const MathNode *x = *(MathNode *const *)a, *y = *(MathNode *const *)b;
  return x->p != y->p ? (x->p > y->p) - (x->p < y->p) : (x->q > y->q) - (x->q < y->q);
}

/* The n-ary node of `kind` (a sum or a product) with the operands of a and b, their numbers folded and first. */
static MathNode *join(MathTree *tree, MathKind kind, MathNode *a, MathNode *b) {
  MathNode *sides[] = {a, b};
  g_autoptr(GPtrArray) operands = g_ptr_array_new(), others = g_ptr_array_new();
  for (int s = 0; s < 2; s++) {
    gboolean flat = sides[s]->kind == kind;
    for (int i = 0; i < (flat ? sides[s]->n : 1); i++) {
      MathNode *operand = flat ? sides[s]->child[i] : sides[s];
      if (operand->kind == MATH_NUMBER)
        add_number(tree, kind, operands, operand);
      else
        g_ptr_array_add(others, operand);
    }
  }
  g_ptr_array_sort(operands, compare_numbers);
  const MathNode *first = operands->len > 0 ? operands->pdata[0] : NULL;
  gboolean decimal = first && first->decimal;
  if (kind == MATH_MULTIPLY && first && first->p == 0) g_ptr_array_set_size(others, 0);
  if (others->len > 0 && first && first->q == 1 && first->p == (kind == MATH_MULTIPLY))
    g_ptr_array_remove_index(operands, 0); /* 1x, 0 + x */
  g_ptr_array_extend(operands, others, NULL, NULL);
  if (operands->len == 1) return operands->pdata[0];
  return with_decimal(grade_math_node(tree, kind, (MathNode *const *)operands->pdata, (int)operands->len), decimal);
}

/* The same operation on every entry of a matrix. */
static MathNode *each_entry(MathTree *tree, MathNode *matrix, MathNode *other, gboolean add) {
  g_autofree MathNode **entries = g_new(MathNode *, matrix->n);
  for (int i = 0; i < matrix->n; i++)
    entries[i] = add ? grade_math_add(tree, matrix->child[i], other->child[i])
                     : grade_math_multiply(tree, other, matrix->child[i]);
  MathNode *result = grade_math_node(tree, MATH_MATRIX, entries, matrix->n);
  result->rows = matrix->rows;
  return result;
}

MathNode *grade_math_add(MathTree *tree, MathNode *a, MathNode *b) {
  if (a->kind == MATH_MATRIX && b->kind == MATH_MATRIX && a->n == b->n && a->rows == b->rows)
    return each_entry(tree, a, b, TRUE);
  return join(tree, MATH_ADD, a, b);
}

MathNode *grade_math_multiply(MathTree *tree, MathNode *a, MathNode *b) {
  if (a->kind == MATH_MATRIX && b->kind != MATH_MATRIX) return each_entry(tree, a, b, FALSE);
  if (b->kind == MATH_MATRIX && a->kind != MATH_MATRIX) return each_entry(tree, b, a, FALSE);
  return join(tree, MATH_MULTIPLY, a, b);
}

MathNode *grade_math_negate(MathTree *tree, MathNode *a) {
  return grade_math_multiply(tree, grade_math_number(tree, -1, 1), a);
}

MathNode *grade_math_divide(MathTree *tree, MathNode *a, MathNode *b) {
  return grade_math_multiply(tree, grade_math_power(tree, b, grade_math_number(tree, -1, 1)), a);
}

/* p/q to an integer power, FALSE when it does not fit. */
static gboolean fold_power(const MathNode *base, int64_t exponent, int64_t *p, int64_t *q) {
  if (exponent < -64 || exponent > 64) { /* 0, 1 and -1 aside, 2^64 is too large already */
    if (base->q != 1 || base->p < -1 || base->p > 1) return FALSE;
    exponent = exponent % 2 == 0 ? 2 : 1;
  }
  int64_t x = base->p, y = base->q;
  if (exponent < 0) {
    x = base->p < 0 ? -base->q : base->q;
    y = base->p < 0 ? -base->p : base->p;
    exponent = -exponent;
  }
  *p = *q = 1;
  while (exponent-- > 0)
    if (!reduce((__int128)*p * x, (__int128)*q * y, p, q)) return FALSE;
  return TRUE;
}

MathNode *grade_math_power(MathTree *tree, MathNode *base, MathNode *exponent) {
  int64_t p, q;
  if (exponent->kind == MATH_NUMBER && exponent->q == 1) {
    if (exponent->p == 1) return base;
    if (base->kind == MATH_NUMBER && base->p == 0 && exponent->p <= 0) tree->broken = TRUE; /* 1/0, 0^0 */
    if (base->kind == MATH_NUMBER && fold_power(base, exponent->p, &p, &q))
      return with_decimal(grade_math_number(tree, p, q), base->decimal);
    if (base->kind == MATH_POWER && base->child[1]->kind == MATH_NUMBER && base->child[1]->q == 1) { /* (x^a)^b */
      __int128 product = (__int128)base->child[1]->p * exponent->p;
      if (product >= -INT64_MAX && product <= INT64_MAX)
        return grade_math_power(tree, base->child[0], grade_math_number(tree, (int64_t)product, 1));
    }
    if (base->kind == MATH_MULTIPLY) { /* (2x)^-1 = 1/2 x^-1 */
      MathNode *product = grade_math_number(tree, 1, 1);
      for (int i = 0; i < base->n; i++)
        product = grade_math_multiply(tree, product, grade_math_power(tree, base->child[i], exponent));
      return product;
    }
  }
  return grade_math_node(tree, MATH_POWER, (MathNode *[]){base, exponent}, 2);
}

/* The exact root of a non-negative integer, -1 when it has none. */
static int64_t exact_root(int64_t a, int64_t index) {
  int64_t low = 0, high = a;
  while (low < high) {
    int64_t middle = low + (high - low) / 2 + (high - low) % 2;
    __int128 power = 1;
    for (int64_t i = 0; i < index && power <= a; i++) power *= middle;
    if (power <= a)
      low = middle;
    else
      high = middle - 1;
  }
  __int128 power = 1;
  for (int64_t i = 0; i < index && power <= a; i++) power *= low;
  return power == a ? low : -1;
}

static MathNode *fold_root(MathTree *tree, const MathNode *a, const MathNode *index) {
  if (a->kind != MATH_NUMBER || index->kind != MATH_NUMBER || index->q != 1 || index->p < 2 || index->p > 62 ||
      a->p < 0)
    return NULL;
  int64_t p = exact_root(a->p, index->p), q = exact_root(a->q, index->p);
  return p < 0 || q < 0 ? NULL : with_decimal(grade_math_number(tree, p, q), a->decimal);
}

static MathNode *fold_factorial(MathTree *tree, const MathNode *a) {
  if (a->kind != MATH_NUMBER || a->q != 1 || a->p < 0 || a->p > 20) return NULL;
  int64_t product = 1;
  for (int64_t i = 2; i <= a->p; i++) product *= i;
  return grade_math_number(tree, product, 1);
}

static MathNode *fold_binomial(MathTree *tree, const MathNode *a, const MathNode *b) {
  if (a->kind != MATH_NUMBER || b->kind != MATH_NUMBER || a->q != 1 || b->q != 1 || b->p < 0 || a->p < b->p ||
      b->p > 100)
    return NULL;
  int64_t p = 1, q = 1;
  for (int64_t i = 1; i <= b->p; i++)
    if (!reduce((__int128)p * (a->p - b->p + i), i, &p, &q)) return NULL;
  return q == 1 ? grade_math_number(tree, p, 1) : NULL;
}

MathNode *grade_math_function(MathTree *tree, MathFunction function, MathNode *a, MathNode *b) {
  MathNode *folded = NULL;
  if (function == MATH_ROOT)
    folded = fold_root(tree, a, b);
  else if (function == MATH_FACTORIAL)
    folded = fold_factorial(tree, a);
  else if (function == MATH_BINOMIAL)
    folded = fold_binomial(tree, a, b);
  else if (function == MATH_ABS && a->kind == MATH_NUMBER)
    folded = with_decimal(grade_math_number(tree, ABS(a->p), a->q), a->decimal);
  else if (function == MATH_EXP)
    folded = grade_math_power(tree, grade_math_leaf(tree, MATH_E, NULL), a);
  if (folded) return folded;
  MathNode *node = grade_math_node(tree, MATH_FUNCTION, (MathNode *[]){a, b}, b ? 2 : 1);
  node->function = function;
  return node;
}
