/* Writing a safetensors file. */
#ifndef HYPERSCALE_SAFETENSORS_FILE_H
#define HYPERSCALE_SAFETENSORS_FILE_H

#include <glib.h>

typedef struct {
  const char *name, *dtype; /* "F32", "I32", "U8" */
  int rank;
  gint64 shape[3];
  const void *data;
  gsize bytes;
} SafetensorsEntry;

/* Writes `entries` [n] to `path` by way of a temporary file and a rename, so that nobody maps a half-written one. */
gboolean safetensors_write(const char *path, const SafetensorsEntry *entries, int n, GError **error);

#endif
