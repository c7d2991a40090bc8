/* Any bytes as GPQA's archive. */
#include "datasets/archive.h"

#include "datasets/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(GError) error = NULL;
  gsize length, max = 1 << 16;
  g_autofree char *text = archive_read((const char *)data, size, "fuzz.zip", "dataset/gpqa_diamond.csv",
                                       "deserted-untie-orchid", max, &length, &error);
  g_assert(text ? length <= max : error && error->domain == DATASET_ERROR);
  return 0;
}
