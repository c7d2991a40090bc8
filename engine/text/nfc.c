/* Normalization form C over GLib's Unicode tables: decompose, order the marks, compose (Unicode Standard Annex 15).
 *
 * Characters below U+0300 are starters that stay as they are and can only begin a composition, so text is worked on
 * in stretches: from the character before the first one beyond, up to the next one below. */
#include "engine/text/nfc.h"

#include <string.h>

enum {
  FIRST_BYTE = 0xcc, /* of U+0300 in UTF-8; no character before it begins with that byte or a higher one */
  LONGEST_DECOMPOSITION = 18,
};

typedef struct {
  gunichar character;
  int class;
} Mark;

static gint by_class(gconstpointer a, gconstpointer b) {
  return ((const Mark *)a)->class - ((const Mark *)b)->class;
}

/* Sorts by class the marks characters[from..] that follow one starter. */
static void sort_marks(GArray *characters, guint from, GArray *marks) {
  gunichar *run = &g_array_index(characters, gunichar, from);
  guint n = characters->len - from;
  gboolean sorted = TRUE;
  g_array_set_size(marks, n);
  Mark *mark = (Mark *)marks->data;
  for (guint i = 0; i < n; i++) {
    mark[i] = (Mark){run[i], g_unichar_combining_class(run[i])};
    sorted &= i == 0 || mark[i - 1].class <= mark[i].class;
  }
  if (sorted) return;
  g_array_sort(marks, by_class); /* stable, as the order of equal classes counts */
  for (guint i = 0; i < n; i++) run[i] = mark[i].character;
}

/* The canonical decomposition of a stretch, its marks in order. */
static void decompose(const char *text, const char *end, GArray *characters, GArray *marks) {
  guint first_mark = 0;
  g_array_set_size(characters, 0);
  for (const char *c = text; c < end; c = g_utf8_next_char(c)) {
    gunichar parts[LONGEST_DECOMPOSITION];
    gsize n = g_unichar_fully_decompose(g_utf8_get_char(c), FALSE, parts, LONGEST_DECOMPOSITION);
    for (gsize i = 0; i < n; i++) {
      gboolean starter = g_unichar_combining_class(parts[i]) == 0;
      if (starter && characters->len > first_mark + 1) sort_marks(characters, first_mark, marks);
      g_array_append_val(characters, parts[i]);
      if (starter) first_mark = characters->len;
    }
  }
  if (characters->len > first_mark + 1) sort_marks(characters, first_mark, marks);
}

/* Composes in place: each character joins the last starter unless one of its class or a starter stands between. */
static void compose(GArray *characters) {
  gunichar *c = (gunichar *)characters->data, joined;
  guint n = 0, starter = G_MAXUINT;
  int last_class = 0; /* of what stands between the starter and the character looked at; -1: nothing does */
  for (guint i = 0; i < characters->len; i++) {
    int class = g_unichar_combining_class(c[i]);
    if (starter != G_MAXUINT && last_class < class && g_unichar_compose(c[starter], c[i], &joined)) {
      c[starter] = joined;
      continue;
    }
    if (class == 0)
      starter = n, last_class = -1;
    else
      last_class = class;
    c[n++] = c[i];
  }
  g_array_set_size(characters, n);
}

char *dms_nfc(const char *text, gsize length, gsize *out_length) {
  const char *end = text + length, *begin = text;
  GString *out = NULL;
  g_autoptr(GArray) characters = NULL, marks = NULL;
  for (const char *c = text; c < end;) {
    if ((guchar)*c < FIRST_BYTE) {
      c = g_utf8_next_char(c);
      continue;
    }
    const char *from = c > begin ? g_utf8_find_prev_char(begin, c) : c, *to = c;
    while (to < end && (guchar)*to >= FIRST_BYTE) to = g_utf8_next_char(to);
    if (!out) {
      out = g_string_sized_new(length + length / 8);
      characters = g_array_new(FALSE, FALSE, sizeof(gunichar));
      marks = g_array_new(FALSE, FALSE, sizeof(Mark));
    }
    g_string_append_len(out, begin, from - begin);
    decompose(from, to, characters, marks);
    compose(characters);
    for (guint i = 0; i < characters->len; i++) g_string_append_unichar(out, g_array_index(characters, gunichar, i));
    begin = c = to;
  }
  if (!out) return NULL;
  g_string_append_len(out, begin, end - begin);
  *out_length = out->len;
  return g_string_free(out, FALSE);
}
