/* The byte-level alphabet of GPT-2: every byte as one printable character, the way vocabularies spell their tokens.
 * Internal to engine/text. */
#ifndef DMS_ALPHABET_H
#define DMS_ALPHABET_H

#include <glib.h>

/* Appends the bytes that `spelling` [length bytes of UTF-8] stands for and returns TRUE; when it has a character
 * outside the alphabet, appends the spelling as it is and returns FALSE. */
gboolean dms_alphabet_decode(const char *spelling, gsize length, GByteArray *bytes);

#endif
