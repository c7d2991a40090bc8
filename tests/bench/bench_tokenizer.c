/* How fast text is encoded on one core, and how long a tokenizer of a large model's size takes to open.
 *
 *   bench_tokenizer [tokenizer.json [text file]]
 *
 * The text is encoded over and over for about a second, whole and in pieces of 2 KiB (a prompt's size). The file that
 * is opened is made up: as many tokens and merges as those of Qwen have, laid out as they are, in about as many
 * bytes. */
#include "engine/text/tokenizer.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

enum { TOKENS = 151643, LONGEST_TOKEN = 14, OPENINGS = 8 }; /* LONGEST_TOKEN: bytes of its spelling */

/* The 256 characters that stand for bytes, letters first and the blank among them. */
static GPtrArray *make_alphabet(void) {
  static const gunichar blank = 0x120;
  GPtrArray *alphabet = g_ptr_array_new_with_free_func(g_free);
  for (int wanted = TRUE; wanted >= FALSE; wanted--)
    for (gunichar c = 0x21; c <= 0x143; c++) {
      char text[8] = "";
      if ((c >= 0x7f && c <= 0xa0) || c == 0xad || ((c >= 'a' && c <= 'z') || c == blank) != wanted) continue;
      g_unichar_to_utf8(c, text);
      g_ptr_array_add(alphabet, g_strdup(text));
    }
  return alphabet;
}

/* A vocabulary of the bytes and what random merges make of them, early parts far more often than late ones. */
static void grow_vocabulary(json_t *vocab, json_t *merges) {
  g_autoptr(GPtrArray) spellings = make_alphabet();
  GRand *random = g_rand_new_with_seed(1);
  for (guint i = 0; i < spellings->len; i++) json_object_set_new(vocab, spellings->pdata[i], json_integer(i));
  while (spellings->len < TOKENS) {
    const char *part[2];
    for (int i = 0; i < 2; i++) {
      double draw = g_rand_double(random);
      part[i] = spellings->pdata[(guint)(draw * draw * draw * spellings->len)];
    }
    g_autofree char *merged = g_strconcat(part[0], part[1], NULL);
    if (strlen(merged) > LONGEST_TOKEN || json_object_get(vocab, merged)) continue;
    json_object_set_new(vocab, merged, json_integer(spellings->len));
    json_array_append_new(merges, json_pack("[s, s]", part[0], part[1]));
    g_ptr_array_add(spellings, g_steal_pointer(&merged));
  }
  g_rand_free(random);
}

static char *make_file(const char *like) {
  json_t *root = json_load_file(like, 0, NULL), *model = json_object_get(root, "model");
  json_t *vocab = json_object(), *merges = json_array(), *added = json_object_get(root, "added_tokens"), *token;
  gsize i;
  if (!model) g_error("%s: no tokenizer to make a larger one like", like);
  grow_vocabulary(vocab, merges);
  json_object_set_new(model, "vocab", vocab);
  json_object_set_new(model, "merges", merges);
  json_array_foreach(added, i, token) json_object_set_new(token, "id", json_integer((json_int_t)(TOKENS + i)));
  char *text = json_dumps(root, JSON_INDENT(2));
  json_decref(root);
  return text;
}

/* CPU time: it holds on a busy machine. */
static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void measure_opening(const char *like) {
  char *json = make_file(like);
  double best = G_MAXDOUBLE;
  for (int i = 0; i < OPENINGS; i++) {
    g_autoptr(GError) error = NULL;
    double start = cpu_seconds();
    DmsTokenizer *tokenizer = dms_tokenizer_parse(json, strlen(json), "made up", &error);
    if (!tokenizer) g_error("%s", error->message);
    best = MIN(best, cpu_seconds() - start);
    dms_tokenizer_free(tokenizer);
  }
  g_print("%d tokens in %.1f MB: read in %.0f ms of CPU time\n", TOKENS, (double)strlen(json) / 1e6, best * 1e3);
  free(json);
}

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
  measure_opening(path);
  DmsTokenizer *tokenizer = dms_tokenizer_open_file(path, &error);
  if (!tokenizer || !g_file_get_contents(text_path, &text, &length, &error)) g_error("%s", error->message);
  double whole = encode_for_a_second(tokenizer, text, length, length, &tokens);
  g_print("%s: %.1f MB/s whole, %.2f bytes a token; ", text_path, whole, (double)length / (double)tokens);
  g_print("%.1f MB/s in pieces of 2 KiB\n", encode_for_a_second(tokenizer, text, length, 2048, &tokens));
  dms_tokenizer_free(tokenizer);
  return 0;
}
