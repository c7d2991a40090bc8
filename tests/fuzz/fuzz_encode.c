/* Any bytes as a text for real tokenizers: the words found by hand are those that PCRE2 finds, and decoding gives
 * the normalized text back. */
#include "engine/text/nfc.h"
#include "engine/text/tokenizer.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare_words(const DmsTokenizer *tokenizer, const char *text, gsize length) {
  g_autofree char *why = NULL;
  DmsSplit fast, slow;
  gssize n;
  dms_split_begin(&fast, tokenizer->splitter, text, length);
  dms_split_begin(&slow, tokenizer->splitter, text, length);
  slow.by_regex_alone = TRUE;
  do {
    n = dms_split_next(&fast, &why);
    g_assert(n >= 0 && n == dms_split_next(&slow, &why));
  } while (n);
  dms_split_end(&fast);
  dms_split_end(&slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static DmsTokenizer *tokenizers[2];
  if (!tokenizers[0]) {
    tokenizers[0] = dms_tokenizer_open_file("tests/goldens/qwen2-like.json", NULL);
    tokenizers[1] = dms_tokenizer_open_file("tests/goldens/llama3-like.json", NULL);
  }
  const char *text = (const char *)data;
  for (int i = 0; i < 2; i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
    if (!dms_tokenizer_encode(tokenizers[i], text, (gssize)size, DMS_ENCODE_TEXT, ids, &error)) {
      g_assert(error && strstr(error->message, "UTF-8"));
      return 0;
    }
    compare_words(tokenizers[i], text, size);
    gsize length, want_length = size;
    g_autofree char *back =
        dms_tokenizer_decode(tokenizers[i], (int32_t *)ids->data, ids->len, DMS_DECODE_KEEP_SPECIAL, &length);
    g_autofree char *normal = tokenizers[i]->nfc ? dms_nfc(text, size, &want_length) : NULL;
    g_assert(length == want_length && !memcmp(back, normal ? normal : text, length));
  }
  return 0;
}
