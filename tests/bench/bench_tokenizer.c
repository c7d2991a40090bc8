/* How fast text is encoded on one core, and how long a tokenizer takes to open.
 *
 *   bench_tokenizer [tokenizer.json [text file]]
 *
 * The text is encoded over and over for about a second, whole and in pieces of 2 KiB (a prompt's size). */
#include "engine/text/tokenizer.h"

#include <string.h>

static double encode_for_a_second(const DmsTokenizer *tokenizer, const char *text, gsize length, gsize piece,
                                  gsize *tokens) {
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  gint64 start = g_get_monotonic_time(), now = start;
  gsize bytes = 0;
  for (gsize at = 0; now < start + G_USEC_PER_SEC; now = g_get_monotonic_time()) {
    gsize n = MIN(piece, length - at);
    while (at + n < length && ((guchar)text[at + n] & 0xc0) == 0x80) n++; /* whole characters */
    g_array_set_size(ids, 0);
    if (!dms_tokenizer_encode(tokenizer, text + at, (gssize)n, DMS_ENCODE_TEXT, ids, NULL)) g_error("cannot encode");
    bytes += n;
    at = at + n < length ? at + n : 0;
  }
  *tokens = ids->len;
  return (double)bytes / (double)(now - start);
}

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "tests/goldens/qwen2-like.json";
  const char *text_path = argc > 2 ? argv[2] : "README.md";
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  gsize length, tokens;
  gint64 start = g_get_monotonic_time();
  DmsTokenizer *tokenizer = dms_tokenizer_open_file(path, &error);
  double seconds = (double)(g_get_monotonic_time() - start) / 1e6;
  if (!tokenizer || !g_file_get_contents(text_path, &text, &length, &error)) g_error("%s", error->message);
  double whole = encode_for_a_second(tokenizer, text, length, length, &tokens);
  g_print("%s: opened in %.0f ms\n%s: %.1f MB/s whole, %.2f bytes a token; ", path, seconds * 1e3, text_path, whole,
          (double)length / (double)tokens);
  g_print("%.1f MB/s in pieces of 2 KiB\n", encode_for_a_second(tokenizer, text, length, 2048, &tokens));
  dms_tokenizer_free(tokenizer);
  return 0;
}
