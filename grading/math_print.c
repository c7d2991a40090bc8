/* Writes a tree as LaTeX in one canonical way. */
#include "grading/math_tokens.h"

#include <string.h>

/* How tightly a node binds; a child that binds less than its place asks for goes into brackets. */
enum { LIST, ITEM, SIDE, PART, SUM, PRODUCT, POWER, ATOM };

static void print(GString *out, const MathNode *node, int place);

static int binding(const MathNode *node) {
  switch (node->kind) {
  case MATH_RELATION:
    return ITEM;
  case MATH_UNION:
    return SIDE;
  case MATH_RATIO:
    return PART;
  case MATH_ADD:
  case MATH_PLUS_MINUS:
    return SUM;
  case MATH_MULTIPLY:
    return PRODUCT;
  case MATH_NUMBER:
    return node->p < 0 ? SUM : node->q != 1 ? PRODUCT : ATOM;
  case MATH_POWER:
    return node->child[1]->kind == MATH_NUMBER && node->child[1]->p < 0 ? PRODUCT : POWER;
  case MATH_PERCENTAGE:
  case MATH_DEGREES:
  case MATH_BASED:
    return POWER;
  case MATH_FUNCTION:
    return node->function == MATH_FACTORIAL || node->function < MATH_ROOT ? POWER : ATOM;
  case MATH_CALL:
    return POWER;
  default:
    return ATOM;
  }
}

/* By text; what is in brackets goes last. */
static int compare_strings(gconstpointer a, gconstpointer b) {
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  return (*x == '(') != (*y == '(') ? (*x == '(') - (*y == '(') : strcmp(x, y);
}

static void print_list(GString *out, const MathNode *node, int place, const char *between, gboolean sort) {
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);
  for (int i = 0; i < node->n; i++) {
    GString *item = g_string_new(NULL);
    print(item, node->child[i], place);
    g_ptr_array_add(items, g_string_free(item, FALSE));
  }
  if (sort) g_ptr_array_sort(items, compare_strings);
  for (guint i = 0; i < items->len; i++)
    g_string_append_printf(out, "%s%s", i > 0 ? between : "", (char *)items->pdata[i]);
}

/* Sorted factors one after the other. A dot keeps apart what would be read as something else: 2 3, f(x), 1\frac12,
 * cm. */
static void print_factors(GString *out, GPtrArray *factors) {
  g_ptr_array_sort(factors, compare_strings);
  for (guint i = 0; i < factors->len; i++) {
    const char *factor = factors->pdata[i];
    gboolean number = out->len > 0 && g_ascii_isdigit(out->str[out->len - 1]) && i == 0;
    gboolean joins = g_ascii_isalpha(*factor) || g_str_has_prefix(factor, "\\sqrt") || g_str_has_prefix(factor, "\\pi");
    if (i > 0 || (number && !joins)) g_string_append(out, "\\cdot ");
    g_string_append(out, factor);
  }
}

static gboolean is_inverse(const MathNode *node) {
  return node->kind == MATH_POWER && node->child[1]->kind == MATH_NUMBER && node->child[1]->p < 0;
}

/* A factor that stands below the line: x^-2 as x^2. */
static void print_inverse(GString *out, const MathNode *power, int place) {
  MathNode exponent = *power->child[1];
  exponent.p = -exponent.p;
  gboolean plain = exponent.p == 1 && exponent.q == 1;
  print(out, power->child[0], plain ? place : ATOM);
  if (plain) return;
  g_string_append(out, "^{");
  print(out, &exponent, LIST);
  g_string_append_c(out, '}');
}

/* A product as a fraction: what has a negative exponent goes below the line. A sum that is alone there needs no
 * brackets. */
static void print_product(GString *out, const MathNode *node) {
  g_autoptr(GPtrArray) above = g_ptr_array_new_with_free_func(g_free), below = g_ptr_array_new_with_free_func(g_free);
  MathNode *const *factors = node->kind == MATH_MULTIPLY ? node->child : (MathNode *[]){(MathNode *)node};
  int n = node->kind == MATH_MULTIPLY ? node->n : 1, first = factors[0]->kind == MATH_NUMBER, inverses = 0;
  int64_t p = first ? factors[0]->p : 1, q = first ? factors[0]->q : 1;
  for (int i = first; i < n; i++) inverses += is_inverse(factors[i]);
  gboolean fraction = q != 1 || inverses > 0;
  for (int i = first; i < n; i++) {
    GString *text = g_string_new(NULL);
    gboolean inverse = is_inverse(factors[i]);
    if (inverse)
      print_inverse(text, factors[i], inverses == 1 && q == 1 ? SUM : POWER);
    else
      print(text, factors[i], fraction && n - first - inverses == 1 && ABS(p) == 1 ? SUM : POWER);
    g_ptr_array_add(inverse ? below : above, g_string_free(text, FALSE));
  }
  g_autoptr(GString) top = g_string_new(NULL), bottom = g_string_new(NULL);
  if (p < 0) g_string_append_c(out, '-');
  if (ABS(p) != 1 || above->len == 0) g_string_append_printf(top, "%" G_GINT64_FORMAT, ABS(p));
  if (q != 1) g_string_append_printf(bottom, "%" G_GINT64_FORMAT, q);
  print_factors(top, above);
  print_factors(bottom, below);
  if (fraction)
    g_string_append_printf(out, "\\frac{%s}{%s}", top->str, bottom->str);
  else
    g_string_append(out, top->str);
}

/* A decimal of more than four places as it is written: it may be rounded. FALSE for any other number. */
static gboolean print_decimal(GString *out, const MathNode *node) {
  int places = 0;
  int64_t scale = 1;
  for (; places < 18 && scale % node->q != 0; places++) scale *= 10;
  if (!node->decimal || places <= 4 || scale % node->q != 0) return FALSE;
  int64_t p = ABS(node->p);
  g_string_append_printf(out, "%s%" G_GINT64_FORMAT ".%0*" G_GINT64_FORMAT, node->p < 0 ? "-" : "", p / node->q, places,
                         p % node->q * (scale / node->q));
  return TRUE;
}

/* Degree of a term in its variables, by which the terms of a sum are ordered. */
static double degree(const MathNode *node) {
  double sum = 0;
  if (node->kind == MATH_VARIABLE) return 1;
  if (node->kind == MATH_POWER && node->child[1]->kind == MATH_NUMBER)
    return degree(node->child[0]) * (double)node->child[1]->p / (double)node->child[1]->q;
  for (int i = 0; node->kind == MATH_MULTIPLY && i < node->n; i++) sum += degree(node->child[i]);
  return sum;
}

typedef struct {
  double degree;
  char *text;
} Term;

static int compare_terms(gconstpointer a, gconstpointer b) {
  const Term *x = a, *y = b;
  if (x->degree != y->degree) return x->degree > y->degree ? -1 : 1;
  int order = strcmp(x->text + strspn(x->text, "-0123456789"), y->text + strspn(y->text, "-0123456789"));
  return order ? order : strcmp(x->text, y->text);
}

static void clear_term(gpointer term) {
  g_free(((Term *)term)->text);
}

static void print_sum(GString *out, const MathNode *node) {
  g_autoptr(GArray) terms = g_array_new(FALSE, FALSE, sizeof(Term));
  g_array_set_clear_func(terms, clear_term);
  for (int i = 0; i < node->n; i++) {
    const MathNode *child = node->child[i];
    GString *text = g_string_new(NULL);
    print(text, child, child->kind == MATH_ADD ? PRODUCT : SUM);
    double order = child->kind == MATH_PLUS_MINUS ? -1e9 : child->kind == MATH_NUMBER ? 1e-9 : degree(child);
    Term term = {order, g_string_free(text, FALSE)};
    g_array_append_val(terms, term);
  }
  g_array_sort(terms, compare_terms);
  for (guint i = 0; i < terms->len; i++) {
    const char *text = g_array_index(terms, Term, i).text;
    if (i > 0 && *text != '-' && !g_str_has_prefix(text, "\\pm ") && !g_str_has_prefix(text, "\\mp "))
      g_string_append_c(out, '+');
    g_string_append(out, text);
  }
}

static void print_function(GString *out, const MathNode *node) {
  static const char *const names[] = {
      [MATH_SIN] = "\\sin",        [MATH_COS] = "\\cos",   [MATH_TAN] = "\\tan",       [MATH_COT] = "\\cot",
      [MATH_SEC] = "\\sec",        [MATH_CSC] = "\\csc",   [MATH_ARCSIN] = "\\arcsin", [MATH_ARCCOS] = "\\arccos",
      [MATH_ARCTAN] = "\\arctan",  [MATH_SINH] = "\\sinh", [MATH_COSH] = "\\cosh",     [MATH_TANH] = "\\tanh",
      [MATH_LOG] = "\\log",        [MATH_ROOT] = "\\sqrt", [MATH_ABS] = "\\lvert ",    [MATH_FLOOR] = "\\lfloor ",
      [MATH_CEILING] = "\\lceil ", [MATH_FACTORIAL] = "",  [MATH_BINOMIAL] = "\\binom"};
  const char *open = "(", *close = ")";
  const MathNode *second = node->n > 1 ? node->child[1] : NULL;
  if (node->function == MATH_FACTORIAL) {
    print(out, node->child[0], ATOM);
    g_string_append_c(out, '!');
    return;
  }
  gboolean natural = node->function == MATH_LOG && second->kind == MATH_E;
  g_string_append(out, natural ? "\\ln" : names[node->function]);
  if (node->function == MATH_ROOT || node->function == MATH_BINOMIAL) open = "{", close = "}";
  if (node->function == MATH_ABS) open = "", close = "\\rvert ";
  if (node->function == MATH_FLOOR) open = "", close = "\\rfloor ";
  if (node->function == MATH_CEILING) open = "", close = "\\rceil ";
  if (node->function == MATH_LOG && !natural && !(second->kind == MATH_NUMBER && second->p == 10 && second->q == 1)) {
    g_string_append(out, "_{");
    print(out, second, LIST);
    g_string_append_c(out, '}');
  }
  if (node->function == MATH_ROOT && !(second->kind == MATH_NUMBER && second->p == 2 && second->q == 1)) {
    g_string_append_c(out, '[');
    print(out, second, SUM);
    g_string_append_c(out, ']');
  }
  g_string_append(out, open);
  print(out, node->child[0], close[0] == '\\' ? SUM : ITEM);
  g_string_append(out, close);
  if (node->function == MATH_BINOMIAL) {
    g_string_append_c(out, '{');
    print(out, second, LIST);
    g_string_append_c(out, '}');
  }
}

static void print_call(GString *out, const MathNode *node) {
  gboolean short_name = node->n > 0 && strchr("fghFG", *node->name) && !g_ascii_isalpha(node->name[1]);
  if (short_name)
    g_string_append(out, node->name);
  else
    g_string_append_printf(out, "\\operatorname{%s}", node->name);
  if (node->n == 0) return;
  gboolean tuple = node->child[0]->kind == MATH_BRACKET && node->child[0]->open == '(';
  if (!tuple) g_string_append_c(out, '(');
  print(out, node->child[0], ITEM);
  if (!tuple) g_string_append_c(out, ')');
}

static void print_matrix(GString *out, const MathNode *node) {
  g_string_append(out, "\\begin{pmatrix}");
  for (int i = 0; i < node->n; i++) {
    if (i > 0) g_string_append(out, i % (node->n / node->rows) == 0 ? "\\\\ " : "&");
    print(out, node->child[i], ITEM);
  }
  g_string_append(out, "\\end{pmatrix}");
}

static const char *relation(char c) {
  switch (c) {
  case 'l':
    return "\\le ";
  case 'g':
    return "\\ge ";
  case 'n':
    return "\\ne ";
  case 'i':
    return "\\in ";
  case 'a':
    return "\\approx ";
  default:
    return c == '<' ? "<" : c == '>' ? ">" : "=";
  }
}

static void print_bare(GString *out, const MathNode *node, int place) {
  switch (node->kind) {
  case MATH_NUMBER:
    if (!print_decimal(out, node)) print_product(out, node);
    break;
  case MATH_LITERAL:
  case MATH_VARIABLE:
    g_string_append(out, node->name);
    break;
  case MATH_PI:
    g_string_append(out, "\\pi ");
    break;
  case MATH_E:
    g_string_append_c(out, 'e');
    break;
  case MATH_I:
    g_string_append_c(out, 'i');
    break;
  case MATH_INFINITY:
    g_string_append(out, "\\infty ");
    break;
  case MATH_CALL:
    print_call(out, node);
    break;
  case MATH_FUNCTION:
    print_function(out, node);
    break;
  case MATH_ADD:
    print_sum(out, node);
    break;
  case MATH_MULTIPLY:
    print_product(out, node);
    break;
  case MATH_POWER:
    if (binding(node) == PRODUCT)
      print_product(out, node);
    else {
      print(out, node->child[0], ATOM);
      g_string_append(out, "^{");
      print(out, node->child[1], LIST);
      g_string_append_c(out, '}');
    }
    break;
  case MATH_PLUS_MINUS:
    g_string_append(out, node->sign > 0 ? "\\pm " : "\\mp ");
    print(out, node->child[0], PRODUCT);
    break;
  case MATH_DEGREES:
    print(out, node->child[0], ATOM);
    g_string_append(out, "^{\\circ}");
    break;
  case MATH_PERCENTAGE:
    print(out, node->child[0], ATOM);
    g_string_append(out, "\\%");
    break;
  case MATH_BASED:
    g_string_append_printf(out, "%s_{%" G_GINT64_FORMAT "}", node->name, node->p);
    break;
  case MATH_RATIO:
    print_list(out, node, SUM, ":", FALSE);
    break;
  case MATH_BRACKET:
    g_string_append_c(out, node->open);
    print_list(out, node, ITEM, ", ", FALSE);
    g_string_append_c(out, node->close);
    break;
  case MATH_SET:
    g_string_append(out, "\\{");
    print_list(out, node, ITEM, ", ", TRUE);
    g_string_append(out, "\\}");
    break;
  case MATH_LIST:
    if (place > LIST) g_string_append_c(out, '{');
    print_list(out, node, ITEM, ", ", TRUE);
    if (place > LIST) g_string_append_c(out, '}');
    break;
  case MATH_UNION:
    print_list(out, node, PART, "\\cup ", TRUE);
    break;
  case MATH_MATRIX:
    print_matrix(out, node);
    break;
  case MATH_RELATION:
    for (int i = 0; i < node->n; i++) {
      if (i > 0 && out->str[out->len - 1] == '!') g_string_append_c(out, ' '); /* x! = 2 is not x != 2 */
      if (i > 0) g_string_append(out, relation(node->name[i - 1]));
      print(out, node->child[i], SIDE);
    }
    break;
  case MATH_TEXT: {
    g_autofree char *plain = grade_math_plain(node->name, strlen(node->name));
    g_string_append_printf(out, "\\%s{%s}", strpbrk(plain, "0123456789") ? MATH_WORDS : "text", plain);
    break;
  }
  }
}

static void print(GString *out, const MathNode *node, int place) {
  gboolean brackets = binding(node) < place;
  if (brackets) g_string_append_c(out, '(');
  print_bare(out, node, brackets ? ITEM : place);
  if (brackets) g_string_append_c(out, ')');
}

/* Takes away the blanks behind commands that no letter follows: \pi} for \pi }. */
static void strip_blanks(GString *text) {
  gsize kept = 0, letters = 0; /* letters of the command that ends here */
  gboolean command = FALSE;
  for (gsize i = 0; i < text->len; i++) {
    char c = text->str[i];
    if (c == ' ' && command && letters > 0 && !g_ascii_isalpha(text->str[i + 1])) continue;
    command = c == '\\' || (command && g_ascii_isalpha(c));
    letters = c == '\\' ? 0 : letters + 1;
    text->str[kept++] = c;
  }
  g_string_truncate(text, kept);
}

char *grade_math_print(const MathNode *node) {
  GString *out = g_string_new(NULL);
  if (node->kind == MATH_DEGREES) node = node->child[0];
  print(out, node, LIST);
  strip_blanks(out);
  return g_string_free(out, FALSE);
}
