/* Added tokens: strings that become one id wherever they stand, before any splitting. Internal to engine/text. */
#ifndef DMS_ADDED_H
#define DMS_ADDED_H

#include <glib.h>

/* A set of strings, searched for together. */
typedef struct DmsAdded DmsAdded;

enum { DMS_MAX_ADDED_BYTES = 256 }; /* of one string: what bounds the work at one place of a text */

DmsAdded *dms_added_new(void);
void dms_added_free(DmsAdded *added);
/* `content` [1 .. DMS_MAX_ADDED_BYTES bytes] stands for `id`. FALSE when it is in the set already. */
gboolean dms_added_add(DmsAdded *added, const char *content, int id);
/* The id of exactly this string, or -1. */
int dms_added_find(const DmsAdded *added, const char *content);
/* The first place in text[from..length) where one of the strings stands, the longest of those that begin there: TRUE
 * with its place, length and id. */
gboolean dms_added_search(const DmsAdded *added, const char *text, gsize length, gsize from, gsize *place,
                          gsize *match_length, int *id);

#endif
