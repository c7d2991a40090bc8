/* What a JSON library does by building trees, done in place for texts of hundreds of megabytes: memchr goes over a
 * packed test set at memory speed. */
#include "datasets/json_span.h"

#include "datasets/dataset.h"

#include <string.h>

static const char *skip_blanks(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
  return p;
}

/* Behind the string whose opening quote is at `p`; NULL when it never closes. */
static const char *skip_string(const char *p, const char *end) {
  const char *first = p + 1;
  for (const char *q = first; (q = memchr(q, '"', (gsize)(end - q))); q++) {
    const char *slash = q;
    while (slash > first && slash[-1] == '\\') slash--;
    if ((q - slash) % 2 == 0) return q + 1;
  }
  return NULL;
}

gboolean json_span(const char *text, const char *end, JsonSpan *value) {
  const char *p = value->begin = skip_blanks(text, end);
  gsize depth = 0;
  while (p < end) {
    if (*p == '"') {
      p = skip_string(p, end);
      if (!p) return FALSE;
    } else if (*p == '{' || *p == '[') {
      depth++;
      p++;
    } else if (*p == '}' || *p == ']' || *p == ',') {
      if (depth == 0) break;
      depth -= *p != ',';
      p++;
    } else {
      p++;
      continue;
    }
    if (depth == 0) break;
  }
  value->end = p;
  return depth == 0 && p > value->begin;
}

gboolean json_member_span(const char *text, gsize length, const char *key, JsonSpan *value) {
  const char *end = text + length, *p = skip_blanks(text, end);
  gsize key_length = strlen(key);
  if (p == end || *p++ != '{') return FALSE;
  for (;;) {
    p = skip_blanks(p, end);
    if (p == end || *p != '"') return FALSE;
    const char *name = p + 1;
    p = skip_string(p, end);
    if (!p) return FALSE;
    gboolean found = (gsize)(p - 1 - name) == key_length && memcmp(name, key, key_length) == 0;
    p = skip_blanks(p, end);
    if (p == end || *p++ != ':' || !json_span(p, end, value)) return FALSE;
    if (found) return TRUE;
    p = skip_blanks(value->end, end);
    if (p == end || *p++ != ',') return FALSE;
  }
}

GString *json_span_without(const JsonSpan *object, const JsonSpan *members, guint n_members) {
  GString *rest = g_string_new(NULL);
  const char *from = object->begin;
  for (guint i = 0; i < n_members; i++) {
    g_string_append_len(rest, from, members[i].begin - from);
    g_string_append(rest, "\"\"");
    from = members[i].end;
  }
  g_string_append_len(rest, from, object->end - from);
  return rest;
}

/* ---- Strings ---------------------------------------------------------------------------------------------------- */

/* Four hexadecimal digits; -1 when they are not. */
static int hex4(const char *p, const char *end) {
  int value = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int digit = g_ascii_xdigit_value(p[i]);
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

/* The code point of the \\u escape whose digits are at `*p`, a surrogate pair taken together; steps over it. -1 when it
 * is none, or half a pair. */
static gint32 unicode_escape(const char **p, const char *end) {
  gint32 code = hex4(*p, end);
  if (code >= 0) *p += 4;
  if (code < 0xd800 || code > 0xdfff) return code;
  int low = end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? hex4(*p + 2, end) : -1;
  if (code > 0xdbff || low < 0xdc00 || low > 0xdfff) return -1;
  *p += 6;
  return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/* The character that a one-letter escape stands for; 0 when there is no such escape. */
static char letter_escape(char letter) {
  static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *found = letter ? strchr(letters, letter) : NULL;
  return found ? values[found - letters] : '\0';
}

static gboolean has_control(const char *text, gsize length) {
  guchar found = 0;
  for (gsize i = 0; i < length; i++) found |= (guchar)text[i] < 0x20;
  return found;
}

char *json_span_string(const JsonSpan *span, gsize *length, GError **error) {
  const char *p = span->begin + 1, *end = span->end - 1;
  if (span->end - span->begin < 2 || *span->begin != '"' || *end != '"') {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "not a string");
    return NULL;
  }
  g_autofree char *text = g_try_malloc((gsize)(end - p) + 1); /* no escape is shorter than what it stands for */
  char *out = text;
  while (text) {
    const char *escape = memchr(p, '\\', (gsize)(end - p)), *run_end = escape ? escape : end;
    if (has_control(p, (gsize)(run_end - p))) break;
    memcpy(out, p, (gsize)(run_end - p));
    out += run_end - p;
    if (!escape) {
      *out = '\0';
      *length = (gsize)(out - text);
      return g_steal_pointer(&text);
    }
    if (end - escape < 2) break;
    p = escape + 2;
    if (escape[1] == 'u') {
      gint32 code = unicode_escape(&p, end);
      if (code < 0) break;
      out += g_unichar_to_utf8((gunichar)code, out);
    } else if (!(*out++ = letter_escape(escape[1]))) {
      break;
    }
  }
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s",
              text ? "a string with a bare control character or an escape that is none" : "no memory for a string");
  return NULL;
}
