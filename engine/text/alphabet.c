/* Bytes that print stand for themselves; the 68 that do not are moved, in order, to U+0100 and up. */
#include "engine/text/alphabet.h"

enum { FIRST_MOVED = 0x100 };

/* The byte that character `c` stands for, or -1. Moved are 0x00-0x20, 0x7f-0xa0 and 0xad. */
static int byte_of(gunichar c) {
  if (c < FIRST_MOVED) return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad ? -1 : (int)c;
  int place = (int)(c - FIRST_MOVED);
  return place <= 0x20 ? place : place < 67 ? 0x7f + place - 0x21 : place == 67 ? 0xad : -1;
}

gssize dms_alphabet_decode(const char *spelling, gsize length, guint8 *out) {
  const guint8 *at = (const guint8 *)spelling, *end = at + length;
  guint8 *to = out;
  while (at < end) {
    gunichar c = *at++; /* of one byte, or of two: all of the alphabet is below U+0800 */
    if (c >= 0x80) {
      if (c < 0xc2 || c >= 0xe0 || at == end || (*at & 0xc0) != 0x80) return -1;
      c = (c & 0x1f) << 6 | (*at++ & 0x3f);
    }
    int found = byte_of(c);
    if (found < 0) return -1;
    *to++ = (guint8)found;
  }
  return to - out;
}
