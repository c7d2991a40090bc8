/* The safetensors format: 8 bytes of header length, a JSON header padded with blanks to 8 bytes, the tensors back to
 * back. */
#include "harness/safetensors_file.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/output_file.h"

static char *make_header(const SafetensorsEntry *entries, int n) {
  json_t *header = json_object();
  gsize offset = 0;
  for (int i = 0; i < n; i++) {
    json_t *shape = json_array();
    for (int d = 0; d < entries[i].rank; d++) json_array_append_new(shape, json_integer(entries[i].shape[d]));
    json_object_set_new(header, entries[i].name,
                        json_pack("{s:s, s:o, s:[I,I]}", "dtype", entries[i].dtype, "shape", shape, "data_offsets",
                                  (json_int_t)offset, (json_int_t)(offset + entries[i].bytes)));
    offset += entries[i].bytes;
  }
  char *text = json_dumps(header, JSON_COMPACT);
  gsize padding = (8 - strlen(text) % 8) % 8;
  char *padded = g_strdup_printf("%s%*s", text, (int)padding, "");
  json_decref(header);
  free(text);
  return padded;
}

gboolean safetensors_write(const char *path, const SafetensorsEntry *entries, int n, GError **error) {
  g_autofree char *header = make_header(entries, n);
  uint64_t length = GUINT64_TO_LE((uint64_t)strlen(header));
  OutputFile output;
  if (!output_open(&output, path, error)) return FALSE;
  output_put(&output, &length, sizeof length);
  output_put(&output, header, strlen(header));
  for (int i = 0; i < n; i++) output_put(&output, entries[i].data, entries[i].bytes);
  return output_close(&output, error);
}
