/* The pickle opcodes that LiveCodeBench's private tests consist of, and no other: pickles of data sets can run code,
 * this reader cannot. */
#include "datasets/unpickle.h"

#include "datasets/dataset.h"

enum {
  PROTO = 0x80,
  FRAME = 0x95,
  SHORT_BINUNICODE = 0x8c,
  BINUNICODE = 'X',
  BINUNICODE8 = 0x8d,
  MEMOIZE = 0x94,
  BINPUT = 'q',
  STOP = '.',
};

static gboolean fail(GError **error, gsize offset, const char *what) {
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "pickle, byte %zu: %s", offset, what);
  return FALSE;
}

/* How many bytes of argument follow an opcode; -1 for one that is not read. */
static int argument_size(guchar opcode) {
  switch (opcode) {
  case PROTO:
  case SHORT_BINUNICODE:
  case BINPUT:
    return 1;
  case BINUNICODE:
    return 4;
  case FRAME:
  case BINUNICODE8:
    return 8;
  case MEMOIZE:
  case STOP:
    return 0;
  default:
    return -1;
  }
}

gboolean unpickle_string(const guchar *pickle, gsize length, const char **text, gsize *text_length, GError **error) {
  const char *found = NULL;
  for (gsize at = 0; at < length;) {
    gsize begin = at;
    guchar opcode = pickle[at++];
    int size = argument_size(opcode);
    if (size < 0) {
      g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT,
                  "pickle, byte %zu: opcode 0x%02x is refused; only a pickled string is read", begin, opcode);
      return FALSE;
    }
    if ((gsize)size > length - at) return fail(error, begin, "the pickle ends inside an opcode");
    guint64 argument = 0;
    for (int i = 0; i < size; i++) argument |= (guint64)pickle[at + (gsize)i] << (8 * i);
    at += (gsize)size;
    if ((opcode == PROTO) != (begin == 0)) return fail(error, begin, "PROTO must come first, and only there");
    if (opcode == PROTO && (argument < 2 || argument > 5)) return fail(error, begin, "pickle protocol is not 2 to 5");
    if (opcode == FRAME && argument > length - at) return fail(error, begin, "the frame is longer than the pickle");
    if (opcode == SHORT_BINUNICODE || opcode == BINUNICODE || opcode == BINUNICODE8) {
      if (found) return fail(error, begin, "a second string");
      if (argument > length - at) return fail(error, begin, "the string is longer than the pickle");
      found = (const char *)pickle + at;
      *text_length = (gsize)argument;
      at += (gsize)argument;
    }
    if (opcode != STOP) continue;
    if (!found) return fail(error, begin, "no string in the pickle");
    if (at != length) return fail(error, at, "bytes behind STOP");
    if (!g_utf8_validate_len(found, *text_length, NULL)) return fail(error, begin, "the string is not valid UTF-8");
    *text = found;
    return TRUE;
  }
  return fail(error, length, "the pickle ends without STOP");
}
