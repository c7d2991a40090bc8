/* Any bytes as the small files of a model folder: config.json, generation_config.json, dms_rule.json and
 * dms_metadata.json, in this order, with a byte 0xff between them. */
#include "engine/model/model.h"

#include <glib/gstdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const names[] = {"config.json", "generation_config.json", "dms_rule.json", "dms_metadata.json"};
  static char *dir;
  if (!dir) dir = g_mkdtemp(g_strdup("/dev/shm/fuzz-config-XXXXXX"));
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = g_build_filename(dir, names[i], NULL);
    g_unlink(path);
    if (!data) continue;
    const uint8_t *end = memchr(data, 0xff, size);
    size_t length = end ? (size_t)(end - data) : size;
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, length, file) != length) g_error("%s", path);
    fclose(file);
    size -= end ? length + 1 : size;
    data = end ? end + 1 : NULL;
  }
  DmsConfig config;
  g_autoptr(GError) error = NULL;
  if (!dms_config_read(dir, &config, &error)) {
    g_assert(error && error->domain == DMS_ERROR);
    return 0;
  }
  g_assert(!error);
  g_autofree float *rope = g_new(float, config.head_dim / 2);
  dms_rope_frequencies(&config, rope);
  g_assert(rope[0] > 0 && config.heads % config.kv_heads == 0);
  dms_config_clear(&config);
  return 0;
}
