/* Any bytes as a pickle, and as the packed tests of a row. */
#include "datasets/packed_tests.h"
#include "datasets/unpickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text;
  gsize length;
  g_autoptr(GError) error = NULL;
  if (unpickle_string(data, size, &text, &length, &error))
    g_assert(!error && (const uint8_t *)text >= data && (const uint8_t *)text + length < data + size);
  else
    g_assert(error && error->domain == DATASET_ERROR);
  g_clear_error(&error);
  g_autoptr(GPtrArray) tests = g_ptr_array_new_with_free_func((GDestroyNotify)dataset_test_free);
  g_autofree char *field = g_memdup2(data, size + !size);
  if (!tests_from_packed(field, size, FALSE, tests, &error)) g_assert(error && error->domain == DATASET_ERROR);
  /* The layers below base64, which a fuzzer does not find its way through. */
  g_clear_error(&error);
  gsize out;
  g_autofree guchar *inflated = inflate_capped(data, size, 1 << 16, &out, &error);
  g_assert(inflated ? out <= 1 << 16 : error != NULL);
  return 0;
}
