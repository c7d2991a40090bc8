/* A string out of a Python pickle, executing nothing. */
#ifndef HYPERSCALE_DATASETS_UNPICKLE_H
#define HYPERSCALE_DATASETS_UNPICKLE_H

#include <glib.h>

/* Reads a pickle of exactly one str: PROTO, FRAME, SHORT_BINUNICODE, BINUNICODE or BINUNICODE8, MEMOIZE or BINPUT,
 * STOP. Any other opcode, a length beyond the end, a second string or bytes behind STOP are DATASET_ERROR_FORMAT
 * naming opcode and offset. The result points into `pickle`, is valid UTF-8 and not terminated. */
gboolean unpickle_string(const guchar *pickle, gsize length, const char **text, gsize *text_length, GError **error);

#endif
