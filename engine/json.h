/* Strict reading of JSON that others wrote: each member is taken by type and range, and each refusal names the file,
 * the member, the value found and the value allowed. Internal to engine/. */
#ifndef DMS_JSON_H
#define DMS_JSON_H

#include "engine/engine.h"

#include <jansson.h>

/* An object inside a file. */
typedef struct {
  const char *file;  /* for messages */
  const char *where; /* the object's own path with a trailing dot, "" at the top: "rope_scaling." */
  json_t *object;    /* borrowed */
  DmsError code;     /* of the errors */
} DmsJson;

/* Parses `text`: one object, no duplicate keys, no trailing garbage. NULL with an error that names `file` and line. */
json_t *dms_json_parse(const char *text, gsize length, const char *file, DmsError code, GError **error);
/* The same for a file of at most `limit` bytes. */
json_t *dms_json_read(const char *path, gsize limit, DmsError code, GError **error);

/* Whether `key` is there and not null. */
gboolean dms_json_has(const DmsJson *json, const char *key);
/* The member `key` as a value of its type. Absent or null: an error when `required`, otherwise *value stays as it
 * was. */
gboolean dms_json_integer(const DmsJson *json, const char *key, gboolean required, gint64 low, gint64 high, int *value,
                          GError **error);
gboolean dms_json_number(const DmsJson *json, const char *key, gboolean required, double low, double high,
                         double *value, GError **error);
gboolean dms_json_boolean(const DmsJson *json, const char *key, gboolean required, gboolean *value, GError **error);
/* *value is borrowed from the object. */
gboolean dms_json_string(const DmsJson *json, const char *key, gboolean required, const char **value, GError **error);

/* Sets "FILE: "WHERE.KEY" is VALUE; ALLOWED" and returns FALSE. */
gboolean dms_json_refuse(const DmsJson *json, const char *key, GError **error, const char *allowed, ...)
    G_GNUC_PRINTF(4, 5);
/* `value` as JSON for a message: one line, cut when long. Free with g_free(). */
char *dms_json_excerpt(const json_t *value);
/* The same of raw text, `length` bytes of it. */
char *dms_excerpt(const char *text, gsize length);

#endif
