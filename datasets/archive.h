/* One entry of a zip archive, decrypted. */
#ifndef HYPERSCALE_DATASETS_ARCHIVE_H
#define HYPERSCALE_DATASETS_ARCHIVE_H

#include <glib.h>

/* Whether the bytes begin as a zip archive does. */
gboolean archive_is_zip(const char *data, gsize length);
/* Reads the entry called `entry`, of at most `max` bytes, into memory; nothing is written anywhere, so no name in the
 * archive can lead outside. `name` is for messages. DATASET_ERROR_FORMAT for a damaged archive, a missing entry, a
 * wrong password, a size beyond `max`, a CRC that does not match. Free with g_free(). */
char *archive_read(const char *data, gsize length, const char *name, const char *entry, const char *password, gsize max,
                   gsize *out_length, GError **error);

#endif
