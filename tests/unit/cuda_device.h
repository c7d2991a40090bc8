/* What the CUDA tests share: the backend where there is a GPU, and the tensors of a golden. */
#ifndef CUDA_DEVICE_H
#define CUDA_DEVICE_H

#include "engine/backend.h"

#include <jansson.h>
#include <string.h>

/* A backend on device 0, or NULL after g_test_skip() where this machine or this build has none. */
static inline DmsBackend *open_or_skip(const DmsBackendOptions *options) {
  g_autoptr(GError) error = NULL;
  DmsBackend *backend = dms_backend_cuda()->open(options, &error);
  if (!backend && g_error_matches(error, DMS_ERROR, DMS_ERROR_DEVICE))
    g_test_skip(error->message);
  else
    g_assert_no_error(error);
  return backend;
}

static inline DmsBackendOptions options_for(const DmsModel *model, DmsPrecision precision, int slots, gsize kv_bytes) {
  return (DmsBackendOptions){.model = model,
                             .rule = model->config.dms,
                             .window_sinks = -1,
                             .precision = precision,
                             .max_sequences = slots,
                             .kv_bytes = kv_bytes};
}

typedef struct {
  char *bytes;
  json_t *header;
} Golden;

static inline Golden golden_open(const char *path) {
  Golden golden;
  g_assert_true(g_file_get_contents(path, &golden.bytes, NULL, NULL));
  uint64_t length;
  memcpy(&length, golden.bytes, 8);
  golden.header = json_loadb(golden.bytes + 8, length, 0, NULL);
  g_assert_nonnull(golden.header);
  return golden;
}

static inline void golden_close(Golden *golden) {
  json_decref(golden->header);
  g_free(golden->bytes);
}

/* A tensor's bytes, or NULL, and how many values its first dimension has. */
static inline const void *golden_tensor(const Golden *golden, const char *name, int *first_dimension) {
  json_t *entry = json_object_get(golden->header, name);
  if (!entry) return NULL;
  uint64_t length;
  memcpy(&length, golden->bytes, 8);
  if (first_dimension) *first_dimension = (int)json_integer_value(json_array_get(json_object_get(entry, "shape"), 0));
  return golden->bytes + 8 + length + json_integer_value(json_array_get(json_object_get(entry, "data_offsets"), 0));
}

#endif
