/* Bytes that print stand for themselves; the 68 that do not are moved, in order, to U+0100 and up. */
#include "engine/text/alphabet.h"

enum { FIRST_MOVED = 0x100, MOVED = 68 };

static gboolean prints(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

/* The byte that character `c` stands for, or -1. */
static int byte_of(gunichar c) {
  if (c < 0x100) return prints((int)c) ? (int)c : -1;
  int place = (int)(c - FIRST_MOVED);
  if (place >= MOVED) return -1;
  for (int byte = 0;; byte++)
    if (!prints(byte) && place-- == 0) return byte;
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
