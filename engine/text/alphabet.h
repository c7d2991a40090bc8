/* The byte-level alphabet of GPT-2: every byte as one printable character, the way vocabularies spell their tokens.
 * Internal to engine/text. */
#ifndef DMS_ALPHABET_H
#define DMS_ALPHABET_H

#include <glib.h>

/* Writes the bytes that `spelling` [length bytes] stands for to `out` [length] and returns their number, or -1 when
 * it has a character outside the alphabet or is no UTF-8. */
gssize dms_alphabet_decode(const char *spelling, gsize length, guint8 *out);

#endif
