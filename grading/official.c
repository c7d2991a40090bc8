/* LiveCodeBench's comparison of printed output.
 *
 * Its rules are those of Python's str.strip(), str.split() and decimal.Decimal: white space is Unicode's, digits may be
 * any script's, underscores are ignored, "1e3" equals "1000.0", and there is no tolerance. */
#include "grading/official.h"

#include "grading/answer.h"

#include <string.h>

typedef struct {
  const char *start, *end;
} Span;

/* ---- White space as Python has it ------------------------------------------------------------------------------- */

/* Bytes of the white space character at `p`, 0 when it is none. */
static gsize space_at(const char *p, const char *end) {
  const guchar *b = (const guchar *)p;
  const gsize left = (gsize)(end - p);
  if (left < 1) return 0;
  if ((b[0] >= 0x09 && b[0] <= 0x0d) || (b[0] >= 0x1c && b[0] <= 0x20)) return 1;
  if (left >= 2 && b[0] == 0xc2 && (b[1] == 0x85 || b[1] == 0xa0)) return 2;
  if (left < 3) return 0;
  const guint c = (guint)b[0] << 16 | (guint)b[1] << 8 | b[2];
  const gboolean space = c == 0xe19a80 /* U+1680 */ || (c >= 0xe28080 && c <= 0xe2808a) /* U+2000 to U+200A */ ||
                         c == 0xe280a8 || c == 0xe280a9 || c == 0xe280af || c == 0xe2819f || c == 0xe38080;
  return space ? 3 : 0;
}

static gsize space_before(const char *p, const char *start) {
  for (gsize n = 1; n <= 3 && (gsize)(p - start) >= n; n++)
    if (space_at(p - n, p) == n) return n;
  return 0;
}

static Span strip(Span s) {
  for (gsize n; (n = space_at(s.start, s.end)); s.start += n) {}
  for (gsize n; (n = space_before(s.end, s.start)); s.end -= n) {}
  return s;
}

/* Cuts the first line off `*rest`; FALSE when there is none left. A text without newlines is one line. */
static gboolean next_line(Span *rest, Span *line) {
  if (!rest->start) return FALSE;
  const char *newline = memchr(rest->start, '\n', (gsize)(rest->end - rest->start));
  *line = strip((Span){rest->start, newline ? newline : rest->end});
  rest->start = newline ? newline + 1 : NULL;
  return TRUE;
}

static gboolean next_word(Span *rest, Span *word) {
  *rest = strip(*rest);
  if (rest->start == rest->end) return FALSE;
  const char *p = rest->start;
  while (p < rest->end && !space_at(p, rest->end)) p++;
  *word = (Span){rest->start, p};
  rest->start = p;
  return TRUE;
}

/* ---- Decimal numbers -------------------------------------------------------------------------------------------- */

typedef struct {
  enum { FINITE, INFINITE, NAN_ } kind;
  gboolean negative;
  GString *digits; /* without zeros at either end; empty: zero */
  gint64 exponent; /* of the last digit */
} Decimal;

/* The word in ASCII, as decimal.Decimal sees it: digits of all scripts as 0 to 9, no underscores. NULL when it cannot
 * be a number. */
static char *as_ascii(Span word) {
  GString *text = g_string_sized_new((gsize)(word.end - word.start));
  for (const char *p = word.start; p < word.end;) {
    const gunichar c = g_utf8_get_char_validated(p, word.end - p);
    if (c >= (gunichar)-2 || c == 0) return g_string_free(text, TRUE), NULL;
    if (c < 0x80 && c != '_') g_string_append_c(text, g_ascii_tolower((char)c));
    if (c >= 0x80) {
      if (g_unichar_type(c) != G_UNICODE_DECIMAL_NUMBER) return g_string_free(text, TRUE), NULL;
      g_string_append_c(text, (char)('0' + g_unichar_digit_value(c)));
    }
    p = g_utf8_next_char(p);
  }
  return g_string_free(text, FALSE);
}

static gboolean parse_exponent(const char *p, gint64 *exponent) {
  if (!*p) return *exponent = 0, TRUE;
  if (*p++ != 'e') return FALSE;
  const gboolean negative = *p == '-';
  if (*p == '-' || *p == '+') p++;
  if (!g_ascii_isdigit(*p)) return FALSE;
  for (*exponent = 0; g_ascii_isdigit(*p); p++) {
    *exponent = *exponent * 10 + (*p - '0');
    if (*exponent > 999999999999999999 / 10) return FALSE; /* about where decimal itself gives up */
  }
  if (negative) *exponent = -*exponent;
  return !*p;
}

/* What decimal.Decimal(word) is; FALSE when it raises. `*number` is to be freed either way. */
static gboolean parse_decimal(Span word, Decimal *number) {
  *number = (Decimal){.digits = g_string_new(NULL)};
  g_autofree char *text = as_ascii(word);
  if (!text) return FALSE;
  const char *p = text;
  number->negative = *p == '-';
  if (*p == '-' || *p == '+') p++;
  if (!strcmp(p, "inf") || !strcmp(p, "infinity")) return number->kind = INFINITE, TRUE;
  if (g_str_has_prefix(p, "nan")) return number->kind = NAN_, strspn(p + 3, "0123456789") == strlen(p + 3);

  gsize before = strspn(p, "0123456789"), after = 0;
  g_string_append_len(number->digits, p, (gssize)before);
  p += before;
  if (*p == '.') {
    after = strspn(++p, "0123456789");
    g_string_append_len(number->digits, p, (gssize)after);
    p += after;
  }
  if (!(before + after) || !parse_exponent(p, &number->exponent)) return FALSE;
  number->exponent -= (gint64)after;
  GString *digits = number->digits;
  gsize length = digits->len;
  while (length && digits->str[length - 1] == '0') length--;
  number->exponent += (gint64)(digits->len - length);
  g_string_truncate(digits, length);
  g_string_erase(digits, 0, (gssize)strspn(digits->str, "0"));
  return TRUE;
}

static gboolean decimal_equal(const Decimal *a, const Decimal *b) {
  if (a->kind != b->kind || a->kind == NAN_) return FALSE;
  if (a->kind == FINITE && !a->digits->len) return !b->digits->len;
  return a->negative == b->negative &&
         (a->kind == INFINITE || (a->exponent == b->exponent && g_string_equal(a->digits, b->digits)));
}

static gboolean words_equal(Span a, Span b) {
  Decimal x, y = {.digits = NULL};
  gboolean equal = parse_decimal(a, &x) && parse_decimal(b, &y) && decimal_equal(&x, &y);
  g_string_free(x.digits, TRUE);
  if (y.digits) g_string_free(y.digits, TRUE);
  return equal;
}

/* ---- Lines ------------------------------------------------------------------------------------------------------ */

static gboolean lines_equal(Span a, Span b) {
  if (a.end - a.start == b.end - b.start && !memcmp(a.start, b.start, (gsize)(a.end - a.start))) return TRUE;
  Span x, y;
  for (;;) {
    const gboolean more_a = next_word(&a, &x), more_b = next_word(&b, &y);
    if (!more_a || !more_b) return more_a == more_b;
    if (!words_equal(x, y)) return FALSE;
  }
}

static guint count_lines(Span text) {
  guint lines = 1;
  for (const char *p = text.start; (p = memchr(p, '\n', (gsize)(text.end - p))); p++) lines++;
  return lines;
}

gboolean grade_official_output_equal(const char *output, gsize output_length, const char *expected,
                                     gsize expected_length, char **difference) {
  if (!output_length) output = "";
  if (!expected_length) expected = "";
  Span a = strip((Span){output, output + output_length}), b = strip((Span){expected, expected + expected_length}), x, y;
  *difference = NULL;
  if (a.start == a.end && b.start == b.end) return TRUE;
  const guint lines_a = count_lines(a), lines_b = count_lines(b);
  if (lines_a != lines_b) {
    *difference = g_strdup_printf("%u lines, expected %u", lines_a, lines_b);
    return FALSE;
  }
  for (guint line = 1; next_line(&a, &x) && next_line(&b, &y); line++)
    if (!lines_equal(x, y)) {
      g_autofree char *was = grade_one_line(x.start, (gsize)(x.end - x.start));
      g_autofree char *should = grade_one_line(y.start, (gsize)(y.end - y.start));
      *difference = g_strdup_printf("line %u is \"%s\", expected \"%s\"", line, was, should);
      return FALSE;
    }
  return TRUE;
}
