/* Third-party rows that the graders are measured on. They live beside the project, never in it; a test skips where
 * they are missing. */
#ifndef HYPERSCALE_TESTS_SHARED_ROWS_H
#define HYPERSCALE_TESTS_SHARED_ROWS_H

#include <glib.h>
#include <jansson.h>
#include <string.h>

/* The objects of ../shared/data/NAME, one JSON object a line, as an array. NULL after g_test_skip() when there is no
 * such file. */
static inline json_t *shared_rows(const char *name) {
  g_autofree char *path = g_build_filename("..", "shared", "data", name, NULL);
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL)) {
    g_autofree char *why = g_strdup_printf("%s is not here", path);
    g_test_skip(why);
    return NULL;
  }
  json_t *rows = json_array();
  for (char *line = text, *end; *line; line = end) {
    end = strchrnul(line, '\n');
    json_error_t error;
    json_t *row = json_loadb(line, (size_t)(end - line), 0, &error);
    if (!row) g_error("%s: %s", path, error.text);
    json_array_append_new(rows, row);
    end += *end == '\n';
  }
  return rows;
}

static inline const char *row_text(json_t *row, const char *key) {
  return json_string_value(json_object_get(row, key));
}
static inline gboolean row_true(json_t *row, const char *key) {
  return json_is_true(json_object_get(row, key));
}

#endif
