/* Byte pair encoding against the definition, word by word: short words, long ones, and tables made to trip the order
 * of merges. */
#include "engine/text/bpe.h"

#include <string.h>

/* A vocabulary of single bytes "a".."d" and the results of random merges, and those merges as the definition wants
 * them. */
typedef struct {
  DmsVocabulary *vocabulary;
  DmsMerges *merges;
  GArray *pairs; /* int[3]: left, right, merged, by rank */
} Table;

enum { LETTERS = 4 };

static Table table_new(GRand *random, int wanted) {
  Table table = {.vocabulary = dms_vocabulary_new(LETTERS + wanted),
                 .pairs = g_array_new(FALSE, FALSE, 3 * sizeof(int))};
  for (int i = 0; i < LETTERS; i++) g_assert_true(dms_vocabulary_add(table.vocabulary, i, &"abcd"[i], 1, TRUE));
  table.merges = dms_merges_new(table.vocabulary, wanted, FALSE);
  for (int id = LETTERS, tries = 0; id < LETTERS + wanted && tries < 100 * wanted; tries++) {
    int pair[3] = {g_rand_int_range(random, 0, id), g_rand_int_range(random, 0, id), id};
    const DmsVocabulary *v = table.vocabulary;
    g_autoptr(GString) text = g_string_new_len(dms_token_bytes(v, pair[0]), v->token[pair[0]].length);
    g_string_append_len(text, dms_token_bytes(v, pair[1]), v->token[pair[1]].length);
    int known = dms_vocabulary_find(v, text->str, text->len);
    if (known >= 0)
      pair[2] = known; /* two ways to one token */
    else if (text->len > 12)
      continue;
    if (!dms_merges_add(table.merges, pair[0], pair[1], pair[2])) continue;
    if (known < 0) g_assert_true(dms_vocabulary_add(table.vocabulary, id++, text->str, text->len, TRUE));
    g_array_append_val(table.pairs, pair);
  }
  return table;
}

static void table_free(Table *table) {
  dms_merges_free(table->merges);
  dms_vocabulary_free(table->vocabulary);
  g_array_unref(table->pairs);
}

/* The definition: over and over, of all adjacent pairs that can merge the one of lowest rank, the leftmost of these. */
static void encode_by_definition(const Table *table, const char *word, gsize length, GArray *ids) {
  g_array_set_size(ids, 0);
  for (gsize i = 0; i < length; i++) g_array_append_val(ids, ((int[]){word[i] - 'a'}));
  for (gboolean merged = TRUE; merged;) {
    merged = FALSE;
    for (guint rank = 0; rank < table->pairs->len && !merged; rank++) {
      const int *pair = (const int *)table->pairs->data + 3 * rank;
      for (guint i = 0; i + 1 < ids->len && !merged; i++) {
        if (g_array_index(ids, int, i) != pair[0] || g_array_index(ids, int, i + 1) != pair[1]) continue;
        g_array_index(ids, int, i) = pair[2];
        g_array_remove_index(ids, i + 1);
        merged = TRUE;
      }
    }
  }
}

static void test_definition(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(11);
  g_autoptr(GArray) want = g_array_new(FALSE, FALSE, sizeof(int)), got = g_array_new(FALSE, FALSE, sizeof(int));
  for (int round = 0; round < 200; round++) {
    Table table = table_new(random, g_rand_int_range(random, 1, 60));
    DmsBpeScratch scratch = {0};
    for (int i = 0; i < 60; i++) {
      char word[130];
      guint8 missing;
      gsize length = (gsize)(i < 30 ? g_rand_int_range(random, 1, 16) : g_rand_int_range(random, 40, 130));
      for (gsize j = 0; j < length; j++) word[j] = (char)('a' + g_rand_int_range(random, 0, LETTERS));
      encode_by_definition(&table, word, length, want);
      for (int again = 0; again < 2; again++) { /* the second time, what the first one learned of the word is used */
        g_array_set_size(got, 0);
        g_assert_true(dms_bpe_encode(table.merges, word, length, &scratch, got, &missing));
        g_assert_cmpmem(got->data, got->len * sizeof(int), want->data, want->len * sizeof(int));
      }
    }
    dms_bpe_scratch_clear(&scratch);
    table_free(&table);
  }
}

static void test_missing_byte(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(1);
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int));
  Table table = table_new(random, 4);
  DmsBpeScratch scratch = {0};
  guint8 missing = 0;
  g_autofree char *word = g_strnfill(100, 'a');
  word[99] = 'z';
  g_assert_false(dms_bpe_encode(table.merges, word, 100, &scratch, ids, &missing));
  g_assert_cmpint(missing, ==, 'z');
  g_assert_false(dms_bpe_encode(table.merges, "z", 1, &scratch, ids, &missing));
  dms_bpe_scratch_clear(&scratch);
  table_free(&table);
}

static double seconds_for(const Table *table, gsize length, char fill) {
  g_autofree char *word = g_strnfill(length, fill);
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int));
  DmsBpeScratch scratch = {0};
  guint8 missing;
  gint64 start = g_get_monotonic_time();
  g_assert_true(dms_bpe_encode(table->merges, word, length, &scratch, ids, &missing));
  dms_bpe_scratch_clear(&scratch);
  return (double)(g_get_monotonic_time() - start) / 1e6;
}

/* A word of a million bytes takes no more than its share of one of two millions. */
static void test_long_word(void) {
  Table table = {.vocabulary = dms_vocabulary_new(5), .pairs = g_array_new(FALSE, FALSE, 3 * sizeof(int))};
  for (int i = 0; i < 5; i++) g_assert_true(dms_vocabulary_add(table.vocabulary, i, "aaaaaaaaaaaaaaaa", 1u << i, TRUE));
  table.merges = dms_merges_new(table.vocabulary, 4, FALSE);
  for (int i = 0; i < 4; i++) g_assert_true(dms_merges_add(table.merges, i, i, i + 1));
  double once = seconds_for(&table, 1 << 19, 'a'), twice = seconds_for(&table, 1 << 21, 'a');
  g_test_message("%.3f s for 512 KiB, %.3f s for 2 MiB", once, twice);
  g_assert_cmpfloat(twice, <, 12 * once + 0.2);
  table_free(&table);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/bpe/definition", test_definition);
  g_test_add_func("/bpe/missing-byte", test_missing_byte);
  g_test_add_func("/bpe/long-word", test_long_word);
  return g_test_run();
}
