/* The key of the counter-based generator: what makes one problem's samples differ from another's. */
#include "engine/sampling.h"

#include <glib.h>

uint64_t dms_seed_key(uint64_t seed, const char *task, const char *problem) {
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  guint64 little = GUINT64_TO_LE(seed), key;
  guint8 digest[32];
  gsize length = sizeof digest;
  g_checksum_update(sum, (const guchar *)&little, sizeof little);
  g_checksum_update(sum, (const guchar *)task,
                    (gssize)strlen(task) + 1); /* the NULs keep "ab", "c" and "a", "bc" apart */
  g_checksum_update(sum, (const guchar *)problem, (gssize)strlen(problem) + 1);
  g_checksum_get_digest(sum, digest, &length);
  memcpy(&key, digest, sizeof key);
  return GUINT64_FROM_LE(key);
}
