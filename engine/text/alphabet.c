/* Bytes that print stand for themselves; the 68 that do not are moved, in order, to U+0100 and up. */
#include "engine/text/alphabet.h"

enum { FIRST_MOVED = 0x100 };

/* The byte that character `c` stands for, or -1. Moved are 0x00-0x20, 0x7f-0xa0 and 0xad. */
static int byte_of(gunichar c) {
  if (c < FIRST_MOVED) return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad ? -1 : (int)c;
  int place = (int)(c - FIRST_MOVED);
  return place <= 0x20 ? place : place < 67 ? 0x7f + place - 0x21 : place == 67 ? 0xad : -1;
}

gboolean dms_alphabet_decode(const char *spelling, gsize length, GByteArray *bytes) {
  guint start = bytes->len;
  for (const char *c = spelling; c < spelling + length; c = g_utf8_next_char(c)) {
    int found = byte_of(g_utf8_get_char(c));
    if (found < 0) {
      g_byte_array_set_size(bytes, start);
      g_byte_array_append(bytes, (const guint8 *)spelling, (guint)length);
      return FALSE;
    }
    guint8 byte = (guint8)found;
    g_byte_array_append(bytes, &byte, 1);
  }
  return TRUE;
}
