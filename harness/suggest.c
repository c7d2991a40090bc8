/* The nearest name by edit distance, for errors about unknown commands, options and keys. */
#include "harness/suggest.h"

#include <glib.h>
#include <string.h>

static guint edit_distance(const char *a, const char *b) {
  gsize n = strlen(b);
  g_autofree guint *row = g_new(guint, n + 1);
  for (gsize j = 0; j <= n; j++) row[j] = j;
  for (gsize i = 1; a[i - 1]; i++) {
    guint diagonal = row[0];
    row[0] = i;
    for (gsize j = 1; j <= n; j++) {
      guint substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = MIN(substituted, MIN(row[j], row[j - 1]) + 1);
    }
  }
  return row[n];
}

char *suggest(const char *found, const char *const *allowed) {
  const char *best = NULL;
  guint nearest = G_MAXUINT;
  if (strlen(found) > 256) return g_strdup("");
  for (const char *const *name = allowed; *name; name++) {
    guint distance = edit_distance(found, *name);
    if (distance < nearest) nearest = distance, best = *name;
  }
  return best && nearest <= 1 + strlen(found) / 3 ? g_strdup_printf("; did you mean %s?", best) : g_strdup("");
}
