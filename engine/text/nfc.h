/* Unicode normalization form C. Internal to engine/text. */
#ifndef DMS_NFC_H
#define DMS_NFC_H

#include <glib.h>

/* NULL when `text` [length bytes of valid UTF-8, NUL bytes allowed] is in form C as it stands; else the normalized
 * text, `*out_length` bytes, to be freed with g_free(). Linear but for sorting: a text made of combining marks is as
 * harmless as any other, which g_utf8_normalize() does not promise. */
char *dms_nfc(const char *text, gsize length, gsize *out_length);

#endif
