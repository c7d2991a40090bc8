/* Reads the tensors of a safetensors file that a test compares with. */
#ifndef GOLDEN_TENSORS_H
#define GOLDEN_TENSORS_H

#include <glib.h>
#include <jansson.h>
#include <string.h>

/* The data of tensor `name` in `path`, its shape in *rows and *columns (the last dimension, the product of the
 * others); NULL when there is none of that name. Free with g_free(). */
static void *golden_tensor(const char *path, const char *name, gint64 *rows, gint64 *columns) {
  g_autofree char *text = NULL;
  gsize length;
  g_autoptr(GError) error = NULL;
  g_file_get_contents(path, &text, &length, &error);
  g_assert_no_error(error);
  guint64 header;
  memcpy(&header, text, sizeof header);
  json_error_t problem;
  json_t *root = json_loadb(text + 8, header, 0, &problem), *tensor = json_object_get(root, name);
  void *data = NULL;
  if (tensor) {
    json_t *shape = json_object_get(tensor, "shape"), *offsets = json_object_get(tensor, "data_offsets");
    size_t rank = json_array_size(shape);
    gint64 from = json_integer_value(json_array_get(offsets, 0)), to = json_integer_value(json_array_get(offsets, 1));
    *columns = json_integer_value(json_array_get(shape, rank - 1)), *rows = 1;
    for (size_t i = 0; i + 1 < rank; i++) *rows *= json_integer_value(json_array_get(shape, i));
    data = g_memdup2(text + 8 + header + from, (gsize)(to - from));
  }
  json_decref(root);
  return data;
}

#endif
