/* Normalization form C against GLib's, and texts that make GLib's quadratic. */
#include "engine/text/nfc.h"

#include <string.h>

/* dms_nfc(), "unchanged" as a copy. */
static char *nfc(const char *text, gsize length, gsize *out_length) {
  char *out = dms_nfc(text, length, out_length);
  if (out) return out;
  *out_length = length;
  return g_memdup2(text, length);
}

static void compare(const char *text) {
  gsize length;
  g_autofree char *got = nfc(text, strlen(text), &length), *want = g_utf8_normalize(text, -1, G_NORMALIZE_NFC);
  g_assert_cmpmem(got, length, want, strlen(want));
}

static void test_every_character(void) {
  for (gunichar c = 1; c < 0x110000; c++) {
    char text[16] = "a";
    if (c >= 0xd800 && c < 0xe000) continue;
    text[1 + g_unichar_to_utf8(c, text + 1)] = 0;
    compare(text);
    compare(text + 1);
  }
}

/* Texts of characters that decompose, combine or reorder. */
static void test_random_texts(void) {
  g_autoptr(GArray) pool = g_array_new(FALSE, FALSE, sizeof(gunichar));
  g_autoptr(GRand) random = g_rand_new_with_seed(3);
  gunichar parts[18];
  for (gunichar c = 0x20; c < 0x30000; c++) {
    if ((c >= 0xd800 && c < 0xe000) || (c >= 0xac20 && c < 0xd7a4)) continue;
    if (c < 0x180 || g_unichar_combining_class(c) || (c >= 0x1100 && c < 0x1200) ||
        g_unichar_fully_decompose(c, FALSE, parts, 18) > 1 || parts[0] != c)
      g_array_append_val(pool, c);
  }
  for (int round = 0; round < 200000; round++) {
    char text[128];
    int length = 0;
    for (int i = g_rand_int_range(random, 1, 14); i > 0; i--)
      length += g_unichar_to_utf8(g_array_index(pool, gunichar, (guint)g_rand_int_range(random, 0, (gint32)pool->len)),
                                  text + length);
    text[length] = 0;
    compare(text);
  }
}

static void test_unchanged(void) {
  gsize length;
  g_assert_null(dms_nfc("caf\xc3\xa9", 5, &length));
  g_assert_null(dms_nfc("a\0b", 3, &length));
  g_assert_null(dms_nfc("", 0, &length));
  g_autofree char *with_nul = dms_nfc("e\xcc\x81\0e\xcc\x81", 7, &length);
  g_assert_cmpmem(with_nul, length, "\xc3\xa9\0\xc3\xa9", 5);
}

/* A million marks in descending classes, and marks hidden in characters that decompose to two. */
static void test_bombs(void) {
  static const char *const units[] = {"\xcc\x81\xcc\xa3", "\xe0\xbd\xb3", "\xe1\x84\x80", "\xcd\x84\xcc\xa3\xcc\xb4"};
  for (gsize u = 0; u < G_N_ELEMENTS(units); u++) {
    g_autoptr(GString) text = g_string_new("a");
    gsize length;
    while (text->len < 2 << 20) g_string_append(text, units[u]);
    gint64 start = g_get_monotonic_time();
    g_autofree char *out = nfc(text->str, text->len, &length);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 10 * G_USEC_PER_SEC);
    g_autofree char *again = nfc(out, length, &length);
    g_assert_cmpmem(out, length, again, length); /* normal text stays as it is */
  }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/nfc/every-character", test_every_character);
  g_test_add_func("/nfc/random-texts", test_random_texts);
  g_test_add_func("/nfc/unchanged", test_unchanged);
  g_test_add_func("/nfc/bombs", test_bombs);
  return g_test_run();
}
