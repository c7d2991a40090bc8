/* Computes a tree at a point, in two ways.
 *
 * Modulo a prime: a rational function with integer exponents is computed exactly at any size, so two such trees that
 * agree at random points are equal but for a chance of about degree / prime. Numerically: everything else, in
 * complex long double. */
#include "grading/math.h"

#include <math.h>
#include <string.h>

enum { MAX_FACTORIAL = 1000 };

gboolean grade_math_contains(const MathNode *node, MathKind kind) {
  gboolean found = node->kind == kind;
  for (int i = 0; i < node->n && !found; i++) found = grade_math_contains(node->child[i], kind);
  return found;
}

gboolean grade_math_is_constant(const MathNode *node) {
  return !grade_math_contains(node, MATH_VARIABLE) && !grade_math_contains(node, MATH_CALL);
}

static guint64 mix(guint64 x) { /* splitmix64 */
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* What a name stands for at a point: 64 random bits. */
static guint64 value_of(const char *name, const MathPoint *point) {
  guint64 hash = point->seed;
  for (; *name; name++) hash = mix(hash ^ (guchar)*name);
  return hash;
}

/* ---- Modulo a prime ---------------------------------------------------------------------------------------------- */

static guint64 times(guint64 a, guint64 b, guint64 prime) {
  return (guint64)((unsigned __int128)a * b % prime);
}

static guint64 to_the(guint64 base, guint64 exponent, guint64 prime) {
  guint64 result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = times(result, base, prime);
    base = times(base, base, prime);
  }
  return result;
}

static gboolean divide(guint64 a, guint64 b, guint64 prime, guint64 *quotient) {
  *quotient = times(a, to_the(b, prime - 2, prime), prime);
  return b != 0;
}

static guint64 residue(int64_t a, guint64 prime) {
  guint64 magnitude = (guint64)ABS(a) % prime;
  return a < 0 && magnitude != 0 ? prime - magnitude : magnitude;
}

/* Digits in a base, with an optional point. FALSE where a digit is none of the base. */
static gboolean modular_digits(const char *digits, guint64 base, guint64 prime, guint64 *value) {
  guint64 p = 0, q = 1;
  gboolean point = FALSE;
  for (; *digits; digits++) {
    if (*digits == '.') {
      point = TRUE;
      continue;
    }
    guint64 digit = (guint64)g_ascii_xdigit_value(*digits);
    if (digit >= base) return FALSE;
    p = (times(p, base, prime) + digit) % prime;
    if (point) q = times(q, base, prime);
  }
  return divide(p, q, prime, value);
}

static gboolean modular_power(const MathNode *node, const MathPoint *point, guint64 *value) {
  const MathNode *exponent = node->child[1];
  guint64 base, power;
  if (exponent->kind != MATH_NUMBER || exponent->q != 1 || !grade_math_evaluate_modular(node->child[0], point, &base))
    return FALSE;
  power = to_the(base, (guint64)ABS(exponent->p), point->prime);
  *value = power;
  return exponent->p >= 0 || divide(1, power, point->prime, value);
}

static gboolean modular_function(const MathNode *node, const MathPoint *point, guint64 *value) {
  const MathNode *a = node->child[0];
  guint64 n, factor;
  switch (node->function) {
  case MATH_FACTORIAL:
    if (a->kind != MATH_NUMBER || a->q != 1 || a->p < 0 || a->p > MAX_FACTORIAL) return FALSE;
    *value = 1;
    for (int64_t i = 2; i <= a->p; i++) *value = times(*value, (guint64)i, point->prime);
    return TRUE;
  case MATH_BINOMIAL: /* n (n - 1) ... / k! for a number k and any n */
    if (node->child[1]->kind != MATH_NUMBER || node->child[1]->q != 1 || node->child[1]->p < 0 ||
        node->child[1]->p > MAX_FACTORIAL || !grade_math_evaluate_modular(a, point, &n))
      return FALSE;
    *value = 1;
    for (int64_t i = 0; i < node->child[1]->p; i++) {
      factor = (n + point->prime - (guint64)i) % point->prime;
      if (!divide(times(*value, factor, point->prime), (guint64)i + 1, point->prime, value)) return FALSE;
    }
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean grade_math_evaluate_modular(const MathNode *node, const MathPoint *point, guint64 *value) {
  guint64 child;
  switch (node->kind) {
  case MATH_NUMBER:
    return divide(residue(node->p, point->prime), residue(node->q, point->prime), point->prime, value);
  case MATH_LITERAL:
    return modular_digits(node->name, 10, point->prime, value);
  case MATH_BASED:
    return node->p <= 16 && modular_digits(node->name, (guint64)node->p, point->prime, value);
  case MATH_VARIABLE:
    *value = value_of(node->name, point) % point->prime;
    return TRUE;
  case MATH_PI:
    *value = value_of("\\pi", point) % point->prime;
    return TRUE; /* transcendental, as a variable is */
  case MATH_E:
    *value = value_of("\\e", point) % point->prime;
    return TRUE;
  case MATH_CALL: {
    if (node->n == 0 || !grade_math_evaluate_modular(node->child[0], point, &child)) return FALSE;
    MathPoint inner = *point;
    inner.seed = mix(point->seed ^ child);
    *value = value_of(node->name, &inner) % point->prime;
    return TRUE;
  }
  case MATH_ADD:
    *value = 0;
    for (int i = 0; i < node->n; i++) {
      if (!grade_math_evaluate_modular(node->child[i], point, &child)) return FALSE;
      *value = (*value + child) % point->prime;
    }
    return TRUE;
  case MATH_MULTIPLY:
    *value = 1;
    for (int i = 0; i < node->n; i++) {
      if (!grade_math_evaluate_modular(node->child[i], point, &child)) return FALSE;
      *value = times(*value, child, point->prime);
    }
    return TRUE;
  case MATH_POWER:
    return modular_power(node, point, value);
  case MATH_FUNCTION:
    return modular_function(node, point, value);
  case MATH_DEGREES:
    return grade_math_evaluate_modular(node->child[0], point, value);
  case MATH_PERCENTAGE:
    return grade_math_evaluate_modular(node->child[0], point, &child) && divide(child, 100, point->prime, value);
  default:
    return FALSE;
  }
}

/* ---- Numerically ------------------------------------------------------------------------------------------------- */

static long double complex numeric_variable(const char *name, const MathPoint *point) {
  guint64 bits = value_of(name, point);
  long double magnitude = 0.3L + 2.4L * (long double)(bits >> 11) / 9007199254740992.0L;
  return point->negative && (bits & 1) ? -magnitude : magnitude;
}

/* Real roots of real numbers where there are any: the cube root of -8 is -2. */
static long double complex root(long double complex a, long double complex index) {
  long double n = creall(index);
  if (n == 2) return csqrtl(a);
  gboolean odd = cimagl(index) == 0 && fabsl(n) < 1e6L && fmodl(n, 2) != 0 && floorl(n) == n;
  if (odd && cimagl(a) == 0 && creall(a) < 0) return -cpowl(-creall(a), 1 / n);
  return cpowl(a, 1 / index);
}

static long double binomial(long double n, long double k) {
  if (k >= 0 && n >= k) return expl(lgammal(n + 1) - lgammal(k + 1) - lgammal(n - k + 1));
  return tgammal(n + 1) / (tgammal(k + 1) * tgammal(n - k + 1));
}

static long double complex numeric_function(const MathNode *node, const MathPoint *point, gboolean *valid) {
  long double complex a = 0, b = 0;
  const MathNode *argument = node->child[0];
  gboolean trigonometric = node->function <= MATH_CSC;
  *valid = grade_math_evaluate_numeric(argument, point, &a) &&
           (node->n < 2 || grade_math_evaluate_numeric(node->child[1], point, &b));
  if (!*valid) return 0;
  if (trigonometric && grade_math_contains(argument, MATH_DEGREES)) a *= M_PIl / 180;
  switch (node->function) {
  case MATH_SIN:
    return csinl(a);
  case MATH_COS:
    return ccosl(a);
  case MATH_TAN:
    return csinl(a) / ccosl(a);
  case MATH_COT:
    return ccosl(a) / csinl(a);
  case MATH_SEC:
    return 1 / ccosl(a);
  case MATH_CSC:
    return 1 / csinl(a);
  case MATH_ARCSIN:
    return casinl(a);
  case MATH_ARCCOS:
    return cacosl(a);
  case MATH_ARCTAN:
    return catanl(a);
  case MATH_SINH:
    return csinhl(a);
  case MATH_COSH:
    return ccoshl(a);
  case MATH_TANH:
    return ctanhl(a);
  case MATH_LOG:
    return clogl(a) / clogl(b);
  case MATH_ROOT:
    return root(a, b);
  case MATH_ABS:
    return cabsl(a);
  case MATH_FLOOR:
    return floorl(creall(a) + 1e-12L);
  case MATH_CEILING:
    return ceill(creall(a) - 1e-12L);
  case MATH_FACTORIAL:
  case MATH_BINOMIAL:
    *valid = cimagl(a) == 0 && cimagl(b) == 0;
    return node->function == MATH_FACTORIAL ? tgammal(creall(a) + 1) : binomial(creall(a), creall(b));
  case MATH_LN:
  case MATH_EXP: /* not in trees */
    break;
  }
  *valid = FALSE;
  return 0;
}

static long double complex power(long double complex base, long double complex exponent) {
  long double n = creall(exponent);
  if (cimagl(exponent) != 0 || floorl(n) != n || fabsl(n) > 64) return cpowl(base, exponent);
  long double complex result = 1; /* small integers: no rounding through logarithms */
  for (int i = 0; i < (int)fabsl(n); i++) result *= base;
  return n < 0 ? 1 / result : result;
}

/* The value of digits in a base, as far as a long double holds them. */
static gboolean numeric_digits(const char *digits, int base, long double *value) {
  *value = 0;
  for (; *digits; digits++) {
    int digit = g_ascii_xdigit_value(*digits);
    if (digit < 0 || digit >= base) return FALSE;
    *value = *value * base + digit;
  }
  return TRUE;
}

gboolean grade_math_evaluate_numeric(const MathNode *node, const MathPoint *point, long double complex *value) {
  long double complex child;
  long double digits;
  gboolean valid = TRUE;
  switch (node->kind) {
  case MATH_NUMBER:
    *value = (long double)node->p / (long double)node->q;
    break;
  case MATH_LITERAL:
    *value = g_ascii_strtod(node->name, NULL);
    break;
  case MATH_BASED:
    valid = numeric_digits(node->name, (int)node->p, &digits);
    *value = digits;
    break;
  case MATH_PI:
    *value = M_PIl;
    break;
  case MATH_E:
    *value = M_El;
    break;
  case MATH_I:
    *value = I;
    break;
  case MATH_VARIABLE:
    *value = numeric_variable(node->name, point);
    break;
  case MATH_CALL: {
    valid = node->n > 0 && grade_math_evaluate_numeric(node->child[0], point, &child);
    if (!valid) break;
    char argument[64]; /* equal arguments, equal values: rounded, so that two ways to compute one give the same */
    g_snprintf(argument, sizeof argument, "%.7Le,%.7Le", creall(child), cimagl(child));
    MathPoint inner = *point;
    inner.seed = value_of(argument, point);
    *value = numeric_variable(node->name, &inner);
    break;
  }
  case MATH_ADD:
    *value = 0;
    for (int i = 0; i < node->n && valid; i++)
      if ((valid = grade_math_evaluate_numeric(node->child[i], point, &child))) *value += child;
    break;
  case MATH_MULTIPLY:
    *value = 1;
    for (int i = 0; i < node->n && valid; i++)
      if ((valid = grade_math_evaluate_numeric(node->child[i], point, &child))) *value *= child;
    break;
  case MATH_POWER: {
    long double complex exponent;
    valid = grade_math_evaluate_numeric(node->child[0], point, &child) &&
            grade_math_evaluate_numeric(node->child[1], point, &exponent);
    if (valid) *value = power(child, exponent);
    break;
  }
  case MATH_FUNCTION:
    *value = numeric_function(node, point, &valid);
    break;
  case MATH_DEGREES:
    return grade_math_evaluate_numeric(node->child[0], point, value);
  case MATH_PERCENTAGE:
    valid = grade_math_evaluate_numeric(node->child[0], point, &child);
    if (valid) *value = child / 100;
    break;
  default:
    return FALSE;
  }
  return valid && isfinite(creall(*value)) && isfinite(cimagl(*value));
}
