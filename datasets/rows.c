/* What the readers share: rows into the data set, errors that name a row's place, strict JSON, fingerprints. */
#include "datasets/rows.h"

#include <glib/gstdio.h>
#include <string.h>

G_DEFINE_QUARK(hyperscale_dataset_error, dataset_error)

const char *dataset_keep(Dataset *dataset, const char *text) {
  return text ? g_string_chunk_insert(dataset->strings, text) : NULL;
}

gboolean dataset_add(Dataset *dataset, const DatasetRow *row, RowPlace place, GError **error) {
  guint before = GPOINTER_TO_UINT(g_hash_table_lookup(dataset->by_id, row->problem.id));
  if (before) {
    row_error(error, place, "id \"%.80s\" occurred before, in line %u%s", row->problem.id,
              g_array_index(dataset->rows, DatasetRow, before - 1).line,
              g_array_index(dataset->rows, DatasetRow, before - 1).file == row->file ? "" : " of an earlier file");
    return FALSE;
  }
  g_array_append_val(dataset->rows, *row);
  g_hash_table_insert(dataset->by_id, (char *)row->problem.id, GUINT_TO_POINTER(dataset->rows->len));
  return TRUE;
}

void row_error(GError **error, RowPlace place, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_autofree char *valid = g_utf8_make_valid(message, -1); /* a value cut short may end inside a character */
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s:%u: %s", place.file, place.line, valid);
}

gboolean read_small_file(const char *path, char **text, gsize *length, GError **error) {
  GStatBuf status;
  g_autoptr(GError) failure = NULL;
  if (g_stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > SMALL_FILE_MAX)
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s: %" G_GINT64_FORMAT " bytes; at most %d are read", path,
                (gint64)status.st_size, SMALL_FILE_MAX);
  else if (!g_file_get_contents(path, text, length, &failure))
    g_set_error_literal(error, DATASET_ERROR, DATASET_ERROR_IO, failure->message);
  else
    return TRUE;
  return FALSE;
}

json_t *row_parse(const char *text, gsize length, RowPlace place, GError **error) {
  json_error_t at;
  json_t *row = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
  if (!row) {
    row_error(error, place, "byte %d: %s", at.position, at.text);
  } else if (!json_is_object(row)) {
    row_error(error, place, "the row is no JSON object");
    json_decref(row);
    row = NULL;
  }
  return row;
}

const char *row_string(json_t *row, const char *key, RowPlace place, GError **error) {
  json_t *value = json_object_get(row, key);
  if (!json_is_string(value))
    row_error(error, place, "field \"%s\" is %s; expected a string", key, value ? "no string" : "missing");
  return json_string_value(value);
}

void fingerprint_add_length(GChecksum *sum, gsize length) {
  char text[32];
  int n = g_snprintf(text, sizeof text, "%zu:", length);
  g_checksum_update(sum, (guchar *)text, n);
}

void fingerprint_add(GChecksum *sum, const char *text) {
  if (!text) {
    g_checksum_update(sum, (const guchar *)"-", 1);
    return;
  }
  fingerprint_add_length(sum, strlen(text));
  g_checksum_update(sum, (const guchar *)text, -1);
}
