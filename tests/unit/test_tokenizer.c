/* Encoding and decoding against Hugging Face tokenizers' ids, and texts that are hostile. */
#include "engine/text/tokenizer.h"

#include <jansson.h>
#include <string.h>

#define GOLDENS "tests/goldens/"

static DmsTokenizer *open_or_die(const char *path) {
  g_autoptr(GError) error = NULL;
  DmsTokenizer *tokenizer = dms_tokenizer_open_file(path, &error);
  g_assert_no_error(error);
  return tokenizer;
}

static GArray *encode_or_die(const DmsTokenizer *tokenizer, const char *text, gssize length, DmsEncode mode) {
  g_autoptr(GError) error = NULL;
  GArray *ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  g_assert_true(dms_tokenizer_encode(tokenizer, text, length, mode, ids, &error));
  g_assert_no_error(error);
  return ids;
}

static json_t *load_golden(const char *path) {
  json_t *golden = json_load_file(path, JSON_ALLOW_NUL, NULL);
  g_assert_nonnull(golden);
  return golden;
}

/* Every row: text -> ids, ids -> decoded. */
static void check_rows(const DmsTokenizer *tokenizer, json_t *rows) {
  gsize row, i;
  json_t *entry, *id;
  g_assert_cmpuint(json_array_size(rows), >, 50);
  json_array_foreach(rows, row, entry) {
    json_t *text = json_object_get(entry, "text"), *ids = json_object_get(entry, "ids");
    json_t *decoded = json_object_get(entry, "decoded");
    g_autoptr(GArray) got =
        encode_or_die(tokenizer, json_string_value(text), (gssize)json_string_length(text), DMS_ENCODE_SPECIAL);
    g_assert_cmpuint(got->len, ==, json_array_size(ids));
    json_array_foreach(ids, i, id) g_assert_cmpint(g_array_index(got, int32_t, i), ==, json_integer_value(id));
    gsize length;
    g_autofree char *back =
        dms_tokenizer_decode(tokenizer, (int32_t *)got->data, got->len, DMS_DECODE_KEEP_SPECIAL, &length);
    g_assert_cmpmem(back, length, json_string_value(decoded), json_string_length(decoded));
  }
}

static void test_goldens(void) {
  json_t *pocket = load_golden(GOLDENS "tokenizer-pocket.json"), *given = load_golden(GOLDENS "tokenizer-given.json");
  DmsTokenizer *tokenizer = open_or_die("datasets/pocket/models/pocket-reasoner/tokenizer.json");
  check_rows(tokenizer, pocket);
  dms_tokenizer_free(tokenizer);
  const char *name;
  json_t *rows;
  json_object_foreach(given, name, rows) {
    g_autofree char *path = g_strdup_printf(GOLDENS "%s.json", name);
    tokenizer = open_or_die(path);
    check_rows(tokenizer, rows);
    dms_tokenizer_free(tokenizer);
  }
  json_decref(pocket);
  json_decref(given);
}

static GArray *encode_goldens(const char *name, const char *text, gssize length, DmsEncode mode) {
  g_autofree char *path = g_strdup_printf(GOLDENS "%s.json", name);
  DmsTokenizer *tokenizer = open_or_die(path);
  GArray *ids = encode_or_die(tokenizer, text, length, mode);
  dms_tokenizer_free(tokenizer);
  return ids;
}

static void assert_ids(const GArray *ids, const int32_t *want, gsize n) {
  g_assert_cmpmem(ids->data, ids->len * sizeof(int32_t), want, n * sizeof(int32_t));
}

/* "merges" as strings and as pairs are one table. */
static void test_merge_spellings(void) {
  json_t *root = load_golden(GOLDENS "qwen2-like.json"), *merge;
  json_t *model = json_object_get(root, "model"), *strings = json_array();
  gsize i;
  json_array_foreach(json_object_get(model, "merges"), i, merge)
      json_array_append_new(strings, json_sprintf("%s %s", json_string_value(json_array_get(merge, 0)),
                                                  json_string_value(json_array_get(merge, 1))));
  json_object_set_new(model, "merges", strings);
  char *text = json_dumps(root, 0);
  DmsTokenizer *tokenizer = dms_tokenizer_parse(text, strlen(text), "strings", NULL);
  g_assert_nonnull(tokenizer);
  json_t *given = load_golden(GOLDENS "tokenizer-given.json");
  check_rows(tokenizer, json_object_get(given, "qwen2-like"));
  dms_tokenizer_free(tokenizer);
  free(text);
  json_decref(root);
  json_decref(given);
}

/* Text mode leaves added tokens as text, special or not; ids append to what is there. */
static void test_modes(void) {
  const char *text = "<|im_start|>a<think>";
  g_autoptr(GArray) parsed = encode_goldens("qwen2-like", text, -1, DMS_ENCODE_SPECIAL);
  g_autoptr(GArray) plain = encode_goldens("qwen2-like", text, -1, DMS_ENCODE_TEXT);
  assert_ids(parsed, (int32_t[]){6001, 64, 6003}, 3);
  g_assert_cmpuint(plain->len, >, 3);
  for (guint i = 0; i < plain->len; i++) g_assert_cmpint(g_array_index(plain, int32_t, i), <, 6000);
  DmsTokenizer *tokenizer = open_or_die(GOLDENS "qwen2-like.json");
  g_autofree char *back =
      dms_tokenizer_decode(tokenizer, (int32_t *)plain->data, plain->len, DMS_DECODE_SKIP_SPECIAL, NULL);
  g_autofree char *skipped =
      dms_tokenizer_decode(tokenizer, (int32_t *)parsed->data, parsed->len, DMS_DECODE_SKIP_SPECIAL, NULL);
  g_assert_cmpstr(back, ==, text);
  g_assert_cmpstr(skipped, ==, "a<think>"); /* <think> is added but not special */
  g_assert_true(dms_tokenizer_encode(tokenizer, "a", 1, DMS_ENCODE_TEXT, plain, NULL));
  g_assert_cmpint(g_array_index(plain, int32_t, plain->len - 1), ==, 64);
  g_assert_cmpint(dms_tokenizer_token_id(tokenizer, "<|im_end|>"), ==, 6002);
  g_assert_cmpint(dms_tokenizer_token_id(tokenizer, "a"), ==, 64);
  g_assert_cmpint(dms_tokenizer_token_id(tokenizer, " t"), ==, 256);
  g_assert_cmpint(dms_tokenizer_token_id(tokenizer, "no such token"), ==, -1);
  g_assert_cmpint(dms_tokenizer_token_id(tokenizer, ""), ==, -1);
  g_assert_cmpint(dms_tokenizer_size(tokenizer), ==, 6006);
  dms_tokenizer_free(tokenizer);
}

static void test_bytes(void) {
  DmsTokenizer *tokenizer = open_or_die(GOLDENS "qwen2-like.json");
  static const char *const bad[] = {"a\x80", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "ok\xff\0ok"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
    g_assert_false(dms_tokenizer_encode(tokenizer, bad[i], -1, DMS_ENCODE_TEXT, ids, &error));
    g_assert_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER);
    g_assert_nonnull(strstr(error->message, "UTF-8"));
    g_assert_cmpuint(ids->len, ==, 0);
  }
  g_autoptr(GArray) nul = encode_or_die(tokenizer, "\0a\0\0b", 5, DMS_ENCODE_TEXT);
  gsize length;
  g_autofree char *back =
      dms_tokenizer_decode(tokenizer, (int32_t *)nul->data, nul->len, DMS_DECODE_KEEP_SPECIAL, &length);
  g_assert_cmpmem(back, length, "\0a\0\0b", 5);
  dms_tokenizer_free(tokenizer);
}

/* The token of each byte of `bytes`. */
static void decode_bytes(const DmsTokenizer *tokenizer, const char *bytes, const char *want) {
  int32_t ids[16];
  gsize n = strlen(bytes);
  for (gsize i = 0; i < n; i++) ids[i] = tokenizer->vocabulary->byte_id[(guint8)bytes[i]];
  g_autofree char *got = dms_tokenizer_decode(tokenizer, ids, n, DMS_DECODE_KEEP_SPECIAL, NULL);
  g_assert_cmpstr(got, ==, want);
}

/* Broken UTF-8 becomes U+FFFD once for each maximal beginning of a character. */
static void test_decode_broken(void) {
#define R "\xef\xbf\xbd"
  static const char *const cases[][2] = {
      {"a\x80z", "a" R "z"},
      {"\xe2\x82", R},
      {"\xe2\x82z", R "z"},
      {"\xf0\x9f\x98", R},
      {"\xf0\x9f\xf0\x9f\x98\x80", R "\xf0\x9f\x98\x80"},
      {"\xc0\x80", R R},
      {"\xed\xa0\x80", R R R},
      {"\xf5\x80\x80\x80", R R R R},
      {"\xf4\x90\x80", R R R},
      {"\xe0\x80\x80", R R R},
      {"\xc3\xa9", "\xc3\xa9"},
  };
  DmsTokenizer *tokenizer = open_or_die(GOLDENS "qwen2-like.json");
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) decode_bytes(tokenizer, cases[i][0], cases[i][1]);
  g_autofree char *none =
      dms_tokenizer_decode(tokenizer, (int32_t[]){-1, 6006, G_MAXINT32, G_MININT32}, 4, DMS_DECODE_KEEP_SPECIAL, NULL);
  g_assert_cmpstr(none, ==, "");
  dms_tokenizer_free(tokenizer);
}

static gpointer encode_much(gpointer data) {
  GArray *all = g_array_new(FALSE, FALSE, sizeof(int32_t));
  g_autofree char *text = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(GOLDENS "pocket-greedy.json", &text, &length, NULL));
  for (int i = 0; i < 3; i++)
    g_assert_true(dms_tokenizer_encode(data, text, (gssize)length, DMS_ENCODE_TEXT, all, NULL));
  return all;
}

/* One tokenizer, two threads. */
static void test_threads(void) {
  DmsTokenizer *tokenizer = open_or_die(GOLDENS "qwen2-like.json");
  GThread *other = g_thread_new("encode", encode_much, tokenizer);
  g_autoptr(GArray) here = encode_much(tokenizer), there = g_thread_join(other);
  g_assert_cmpmem(here->data, here->len * sizeof(int32_t), there->data, there->len * sizeof(int32_t));
  dms_tokenizer_free(tokenizer);
}

/* A million letters without a blank, and as many combining marks. */
static void test_long_texts(void) {
  DmsTokenizer *tokenizer = open_or_die(GOLDENS "qwen2-like.json");
  static const char *const units[] = {"a", "the", "\xcc\x81\xcc\xa3", " ", "0", "\xe6\xbc\xa2"};
  for (gsize u = 0; u < G_N_ELEMENTS(units); u++) {
    g_autoptr(GString) text = g_string_new(NULL);
    while (text->len < 1 << 20) g_string_append(text, units[u]);
    gint64 start = g_get_monotonic_time();
    g_autoptr(GArray) ids = encode_or_die(tokenizer, text->str, (gssize)text->len, DMS_ENCODE_SPECIAL);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 10 * G_USEC_PER_SEC);
    g_assert_cmpuint(ids->len, >, 0);
  }
  dms_tokenizer_free(tokenizer);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tokenizer/goldens", test_goldens);
  g_test_add_func("/tokenizer/merge-spellings", test_merge_spellings);
  g_test_add_func("/tokenizer/modes", test_modes);
  g_test_add_func("/tokenizer/bytes", test_bytes);
  g_test_add_func("/tokenizer/decode-broken", test_decode_broken);
  g_test_add_func("/tokenizer/threads", test_threads);
  g_test_add_func("/tokenizer/long-texts", test_long_texts);
  return g_test_run();
}
