/* Any bytes as a tokenizer.json and, after a byte 0xff, as a text for it. What is accepted is JSON for another parser
 * too. */
#include "engine/text/tokenizer.h"

#include <jansson.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *end = memchr(data, 0xff, size);
  size_t json = end ? (size_t)(end - data) : size;
  g_autoptr(GError) error = NULL;
  DmsTokenizer *tokenizer = dms_tokenizer_parse((const char *)data, json, "fuzz.json", &error);
  g_assert(!tokenizer == !!error);
  if (!tokenizer) return 0;
  json_t *tree = json_loadb((const char *)data, json, JSON_REJECT_DUPLICATES, NULL);
  g_assert(tree);
  json_decref(tree);
  for (DmsEncode mode = DMS_ENCODE_TEXT; end && mode <= DMS_ENCODE_SPECIAL; mode++) {
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
    g_clear_error(&error);
    gboolean ok = dms_tokenizer_encode(tokenizer, (const char *)end + 1, (gssize)(size - json - 1), mode, ids, &error);
    g_assert(ok == !error);
    for (guint i = 0; i < ids->len; i++)
      g_assert(g_array_index(ids, int32_t, i) >= 0 && g_array_index(ids, int32_t, i) < dms_tokenizer_size(tokenizer));
    gsize length;
    g_autofree char *text =
        dms_tokenizer_decode(tokenizer, (int32_t *)ids->data, ids->len, DMS_DECODE_KEEP_SPECIAL, &length);
    g_assert(g_utf8_validate_len(text, length, NULL) || memchr(text, 0, length));
  }
  dms_tokenizer_free(tokenizer);
  return 0;
}
