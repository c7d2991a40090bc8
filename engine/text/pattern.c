/* Walks a regular expression once, copying what means the same to both engines and refusing the rest. */
#include "engine/text/pattern.h"

#include <string.h>

typedef struct {
  const char *next;
  GString *out;
  char *why;
  int depth;    /* of groups */
  int caseless; /* depth of the outermost (?i: group, 0: none */
} Walk;

static gboolean refuse(Walk *walk, const char *construct, const char *reason) {
  if (!walk->why) walk->why = g_strdup_printf("%s: %s", construct, reason);
  return FALSE;
}

static gboolean copy_property(Walk *walk) {
  const char *close = strchr(walk->next, '}');
  gsize length = close ? (gsize)(close - walk->next) + 1 : 0; /* "\p{L}" or "\p{Lu}" */
  if (walk->next[2] != '{' || (length != 5 && length != 6) || !strchr("CLMNPSZ", walk->next[3]) ||
      (length == 6 && (walk->caseless || !g_ascii_islower(walk->next[4]))))
    return refuse(walk, "\\p",
                  "only general categories such as \\p{L} and, outside (?i:...), \\p{Lu} mean the same in all engines");
  g_string_append_len(walk->out, walk->next, (gssize)length);
  walk->next += length;
  return TRUE;
}

/* An escape, inside or outside a class. */
static gboolean copy_escape(Walk *walk) {
  char c = walk->next[1];
  if (c == 'p' || c == 'P') return copy_property(walk);
  if (c == 's')
    g_string_append(walk->out, "\\p{White_Space}");
  else if (c == 'S')
    g_string_append(walk->out, "\\P{White_Space}");
  else if (c && (strchr("rntdD", c) || g_ascii_ispunct(c)))
    g_string_append_len(walk->out, walk->next, 2);
  else
    return refuse(walk, c ? (char[]){'\\', c, 0} : "\\", "this escape is not known to mean the same in all engines");
  walk->next += 2;
  return TRUE;
}

static void copy_character(Walk *walk) {
  const char *after = g_utf8_next_char(walk->next);
  g_string_append_len(walk->out, walk->next, after - walk->next);
  walk->next = after;
}

static const char beyond_ascii[] = "in it characters that fold with sequences of others match differently";

static gboolean copy_class(Walk *walk) {
  copy_character(walk);
  if (*walk->next == '^') copy_character(walk);
  if (*walk->next == ']') return refuse(walk, "[]", "a class that begins with a bracket is read differently");
  while (*walk->next && *walk->next != ']') {
    if (*walk->next == '[') return refuse(walk, "[ in a class", "nested classes are not implemented");
    if (walk->next[0] == '&' && walk->next[1] == '&') return refuse(walk, "&&", "intersections are not implemented");
    if (walk->caseless && (guint8)*walk->next >= 0x80) return refuse(walk, "(?i:", beyond_ascii);
    if (*walk->next != '\\')
      copy_character(walk);
    else if (!copy_escape(walk))
      return FALSE;
  }
  if (!*walk->next) return refuse(walk, "[", "the class does not end");
  copy_character(walk);
  return TRUE;
}

static gboolean copy_group(Walk *walk) {
  static const char *const openings[] = {"(?:", "(?i:", "(?=", "(?!", "(?>"};
  walk->depth++;
  if (walk->next[1] == '*') return refuse(walk, "(*", "nothing to repeat");
  if (walk->next[1] != '?') {
    copy_character(walk);
    return TRUE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(openings); i++) {
    if (!g_str_has_prefix(walk->next, openings[i])) continue;
    if (i == 1 && !walk->caseless) walk->caseless = walk->depth;
    g_string_append(walk->out, openings[i]);
    walk->next += strlen(openings[i]);
    return TRUE;
  }
  return refuse(walk, "(?", "of the groups that begin so (?:, (?i:, (?=, (?! and (?> are implemented");
}

static gboolean copy_interval(Walk *walk) {
  const char *c = walk->next + 1;
  if (!g_ascii_isdigit(*c)) return refuse(walk, "{", "it must be {n}, {n,} or {n,m}");
  while (g_ascii_isdigit(*c)) c++;
  if (*c == ',') c++;
  while (g_ascii_isdigit(*c)) c++;
  if (*c != '}') return refuse(walk, "{", "it must be {n}, {n,} or {n,m}");
  if (c[1] && strchr("?+*{", c[1])) return refuse(walk, "{n,m} with a suffix", "its meaning differs between engines");
  g_string_append_len(walk->out, walk->next, c + 1 - walk->next);
  walk->next = c + 1;
  return TRUE;
}

/* Pairs of letters that Unicode also writes as one character: whether caseless matching finds that one differs
 * between engines. */
static gboolean is_folding_pair(const char *c) {
  static const char *const pairs[] = {"ss", "ff", "fi", "fl", "st"};
  for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++)
    if (!g_ascii_strncasecmp(c, pairs[i], 2)) return TRUE;
  return FALSE;
}

static gboolean copy_item(Walk *walk) {
  char c = *walk->next;
  if (c == '\\') return copy_escape(walk);
  if (c == '[') return copy_class(walk);
  if (c == '(') return copy_group(walk);
  if (c == '{') return copy_interval(walk);
  if (c == '^' || c == '$') return refuse(walk, (char[]){c, 0}, "line anchors differ between engines");
  if (walk->caseless && (is_folding_pair(walk->next) || (guint8)c >= 0x80)) return refuse(walk, "(?i:", beyond_ascii);
  if (c == ')') {
    if (walk->caseless == walk->depth) walk->caseless = 0;
    walk->depth--;
  }
  copy_character(walk);
  return TRUE;
}

char *dms_pattern_translate(const char *pattern, char **why) {
  Walk walk = {.next = pattern, .out = g_string_new(NULL)};
  while (*walk.next && copy_item(&walk)) {}
  if (!walk.why) return g_string_free(walk.out, FALSE);
  g_string_free(walk.out, TRUE);
  *why = walk.why;
  return NULL;
}
