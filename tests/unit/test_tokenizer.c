/* The tokenizer against Hugging Face tokenizers' ids, its short cuts against PCRE2, and hostile files and texts. */
#include "engine/text/nfc.h"
#include "engine/text/pattern.h"
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

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tokenizer/goldens", test_goldens);
  return g_test_run();
}
