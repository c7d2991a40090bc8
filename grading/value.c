/* Typed results of functional problems: JSON text against tagged bytes, in one pass over both, with Python's equality.
 */
#include "grading/value.h"
#include "grading/answer.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 512, MAX_DIGITS = 50000 };

typedef struct {
  const char *p, *end;
} Cursor;

/* ---- JSON as Python's json.loads() takes it --------------------------------------------------------------------- */

static gsize left(const Cursor *c) {
  return (gsize)(c->end - c->p);
}

static void skip_blanks(Cursor *c) {
  while (c->p < c->end && strchr(" \t\n\r", *c->p) && *c->p) c->p++;
}

static gboolean accept(Cursor *c, const char *literal) {
  const gsize n = strlen(literal);
  if (left(c) < n || memcmp(c->p, literal, n)) return FALSE;
  c->p += n;
  return TRUE;
}

static gsize skip_digits(Cursor *c) {
  const char *start = c->p;
  while (c->p < c->end && g_ascii_isdigit(*c->p)) c->p++;
  return (gsize)(c->p - start);
}

/* A number; `*real` tells whether Python makes a float of it. NaN and the infinities count as numbers, as they do
 * there. */
static gboolean skip_number(Cursor *c, gboolean *real) {
  *real = TRUE;
  if (accept(c, "NaN") || accept(c, "Infinity") || accept(c, "-Infinity")) return TRUE;
  accept(c, "-");
  *real = FALSE;
  const char *start = c->p;
  const gsize digits = skip_digits(c);
  if (!digits || (digits > 1 && *start == '0')) return FALSE;
  Cursor fraction = *c;
  if (accept(&fraction, ".") && skip_digits(&fraction)) *c = fraction, *real = TRUE;
  Cursor exponent = *c;
  if (accept(&exponent, "e") || accept(&exponent, "E")) {
    if (!accept(&exponent, "+")) accept(&exponent, "-");
    if (skip_digits(&exponent)) *c = exponent, *real = TRUE;
  }
  return *real || digits <= MAX_DIGITS;
}

static gboolean read_hex(Cursor *c, guint *unit) {
  if (left(c) < 4) return FALSE;
  *unit = 0;
  for (int i = 0; i < 4; i++, c->p++) {
    if (!g_ascii_isxdigit(*c->p)) return FALSE;
    *unit = *unit * 16 + (guint)g_ascii_xdigit_value(*c->p);
  }
  return TRUE;
}

/* One UTF-16 code unit or a pair; a lone surrogate becomes three bytes, as Python's "surrogatepass" makes it. */
static gboolean read_unicode(Cursor *c, GString *text) {
  guint unit, low;
  if (!read_hex(c, &unit)) return FALSE;
  Cursor next = *c;
  if (unit >= 0xd800 && unit < 0xdc00 && accept(&next, "\\u") && read_hex(&next, &low) && low >= 0xdc00 &&
      low < 0xe000) {
    unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    *c = next;
  }
  char bytes[6];
  g_string_append_len(text, bytes, g_unichar_to_utf8(unit, bytes));
  return TRUE;
}

/* A string, its opening quotation mark included. */
static gboolean read_string(Cursor *c, GString *text) {
  static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
  g_string_truncate(text, 0);
  if (!accept(c, "\"")) return FALSE;
  while (c->p < c->end) {
    const char byte = *c->p++;
    if (byte == '"') return TRUE;
    if ((guchar)byte < 0x20) return FALSE;
    if (byte != '\\') {
      g_string_append_c(text, byte);
      continue;
    }
    if (c->p == c->end) return FALSE;
    const char escape = *c->p++;
    if (escape == 'u') {
      if (!read_unicode(c, text)) return FALSE;
      continue;
    }
    gsize i = 0;
    while (escapes[i] && escapes[i] != escape) i += 2;
    if (!escapes[i]) return FALSE;
    g_string_append_c(text, escapes[i + 1]);
  }
  return FALSE;
}

static gboolean skip_value(Cursor *c, GString *scratch, int depth);

/* The elements of a list or, with `keys`, of an object, after the opening bracket. */
static gboolean skip_members(Cursor *c, GString *scratch, const char *close, gboolean keys, int depth) {
  skip_blanks(c);
  if (accept(c, close)) return TRUE;
  do {
    skip_blanks(c);
    if (keys) {
      if (!read_string(c, scratch)) return FALSE;
      skip_blanks(c);
      if (!accept(c, ":")) return FALSE;
    }
    if (!skip_value(c, scratch, depth + 1)) return FALSE;
    skip_blanks(c);
  } while (accept(c, ","));
  return accept(c, close);
}

static gboolean skip_value(Cursor *c, GString *scratch, int depth) {
  gboolean real;
  if (depth > MAX_DEPTH) return FALSE;
  skip_blanks(c);
  if (c->p == c->end) return FALSE;
  if (*c->p == '"') return read_string(c, scratch);
  if (accept(c, "[")) return skip_members(c, scratch, "]", FALSE, depth);
  if (accept(c, "{")) return skip_members(c, scratch, "}", TRUE, depth);
  return accept(c, "null") || accept(c, "true") || accept(c, "false") || skip_number(c, &real);
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

typedef struct {
  gboolean is_real;
  double real;
  gboolean negative;
  Cursor digits; /* of an integer: without leading zeros, "" is zero */
} Number;

static Number integer(Cursor text) {
  Number n = {.negative = accept(&text, "-")};
  while (text.p < text.end && *text.p == '0') text.p++;
  n.digits = text;
  if (text.p == text.end) n.negative = FALSE;
  return n;
}

static Number truth(gboolean value) {
  static const char one[] = "1";
  return integer((Cursor){one, one + value});
}

static gboolean same_text(Cursor a, Cursor b) {
  return left(&a) == left(&b) && !memcmp(a.p, b.p, left(&a));
}

static gboolean numbers_equal(Number a, Number b) {
  char text[512];
  if (a.is_real && b.is_real) return a.real == b.real;
  if (b.is_real) return numbers_equal(b, a);
  if (a.is_real) {
    if (!isfinite(a.real) || a.real != floor(a.real)) return FALSE;
    const int n = snprintf(text, sizeof text, "%.0f", a.real);
    a = integer((Cursor){text, text + n});
  }
  return a.negative == b.negative && same_text(a.digits, b.digits);
}

/* ---- Both at once ----------------------------------------------------------------------------------------------- */

static gboolean take(Cursor *c, void *data, gsize length) {
  if (left(c) < length) return FALSE;
  memcpy(data, c->p, length);
  c->p += length;
  return TRUE;
}

static gboolean take_sized(Cursor *c, Cursor *text) {
  guint64 length;
  if (!take(c, &length, sizeof length) || length > left(c)) return FALSE;
  *text = (Cursor){c->p, c->p + length};
  c->p += length;
  return TRUE;
}

static gboolean match(Cursor *json, Cursor *encoded, int depth);

static gboolean match_string(Cursor *json, Cursor *encoded) {
  g_autoptr(GString) text = g_string_new(NULL);
  Cursor other;
  read_string(json, text);
  return take_sized(encoded, &other) && same_text((Cursor){text->str, text->str + text->len}, other);
}

static gboolean match_number(Cursor *json, char tag, Cursor *encoded) {
  Number a, b = {.is_real = tag == 'd'};
  Cursor text = *json;
  if (accept(json, "true"))
    a = truth(TRUE);
  else if (accept(json, "false"))
    a = truth(FALSE);
  else {
    gboolean real;
    skip_number(json, &real);
    text.end = json->p;
    if (real) {
      g_autofree char *copy = g_strndup(text.p, left(&text));
      a = (Number){.is_real = TRUE, .real = g_ascii_strtod(copy, NULL)};
    } else
      a = integer(text);
  }
  Cursor digits;
  switch (tag) {
  case 't':
    b = truth(TRUE);
    break;
  case 'f':
    b = truth(FALSE);
    break;
  case 'd':
    if (!take(encoded, &b.real, sizeof b.real)) return FALSE;
    break;
  default:
    if (!take_sized(encoded, &digits)) return FALSE;
    b = integer(digits);
  }
  return numbers_equal(a, b);
}

static gboolean match_list(Cursor *json, Cursor *encoded, int depth) {
  guint64 n, i = 0;
  if (!take(encoded, &n, sizeof n)) return FALSE;
  skip_blanks(json);
  if (accept(json, "]")) return n == 0;
  do {
    if (i++ >= n || !match(json, encoded, depth + 1)) return FALSE;
    skip_blanks(json);
  } while (accept(json, ","));
  return accept(json, "]") && i == n;
}

/* The values of an object by key; of equal keys the last one holds. */
static GHashTable *index_object(Cursor *json) {
  GHashTable *values = g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, g_free);
  g_autoptr(GString) text = g_string_new(NULL), scratch = g_string_new(NULL);
  skip_blanks(json);
  while (!accept(json, "}")) {
    read_string(json, text);
    skip_blanks(json);
    accept(json, ":");
    Cursor *value = g_memdup2(json, sizeof *json);
    g_hash_table_insert(values, g_bytes_new(text->str, text->len), value);
    skip_value(json, scratch, 0);
    skip_blanks(json);
    accept(json, ",");
    skip_blanks(json);
  }
  return values;
}

static gboolean match_object(Cursor *json, Cursor *encoded, int depth) {
  g_autoptr(GHashTable) values = index_object(json);
  guint64 n;
  if (!take(encoded, &n, sizeof n) || n != g_hash_table_size(values)) return FALSE;
  for (guint64 i = 0; i < n; i++) {
    char tag;
    Cursor key;
    if (!take(encoded, &tag, 1) || tag != 's' || !take_sized(encoded, &key)) return FALSE;
    g_autoptr(GBytes) bytes = g_bytes_new(key.p, left(&key));
    const Cursor *value = g_hash_table_lookup(values, bytes);
    Cursor copy;
    if (!value || (copy = *value, !match(&copy, encoded, depth + 1))) return FALSE;
    g_hash_table_remove(values, bytes);
  }
  return TRUE;
}

/* `json` is valid: skip_value() has passed it. Past a difference the cursors mean nothing. */
static gboolean match(Cursor *json, Cursor *encoded, int depth) {
  char tag;
  if (depth > MAX_DEPTH || !take(encoded, &tag, 1)) return FALSE;
  skip_blanks(json);
  switch (tag) {
  case 'n':
    return accept(json, "null");
  case 's':
    return *json->p == '"' && match_string(json, encoded);
  case 'l':
    return accept(json, "[") && match_list(json, encoded, depth);
  case 'm':
    return accept(json, "{") && match_object(json, encoded, depth);
  case 't':
  case 'f':
  case 'i':
  case 'd':
    return !strchr("\"[{n", *json->p) && match_number(json, tag, encoded);
  default:
    return FALSE; /* a tuple inside, or something that is not plain data: never equal to JSON */
  }
}

gboolean grade_value_matches(const char *encoded, gsize length, const char *expected, gsize expected_length,
                             char **difference, GError **error) {
  g_autoptr(GString) scratch = g_string_new(NULL);
  Cursor json = {expected, expected + expected_length}, check = json, result = {encoded, encoded + length};
  const gboolean valid = skip_value(&check, scratch, 0);
  skip_blanks(&check);
  g_autofree char *shown = grade_one_line(expected, expected_length);
  *difference = NULL;
  if (!valid || check.p != check.end) {
    g_set_error(error, GRADE_ERROR, GRADE_ERROR_INPUT,
                "the expected result \"%s\" of a test is no JSON value (byte %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT
                "): the data set's row is damaged",
                shown, (gsize)(check.p - expected), expected_length);
    return FALSE;
  }
  if (match(&json, &result, 0) && result.p == result.end) return TRUE;
  *difference = g_strdup_printf("the result is not \"%s\"", shown);
  return FALSE;
}
