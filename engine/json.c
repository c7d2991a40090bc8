/* Strict reading of JSON that others wrote. */
#include "engine/json.h"

#include "engine/file.h"

#include <math.h>

json_t *dms_json_parse(const char *text, gsize length, const char *file, DmsError code, GError **error) {
  json_error_t why;
  json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
  if (!object) {
    g_set_error(error, DMS_ERROR, code, "%s: not valid JSON: line %d, column %d: %s", file, why.line, why.column,
                why.text);
    return NULL;
  }
  if (!json_is_object(object)) {
    g_set_error(error, DMS_ERROR, code, "%s holds no JSON object at its top", file);
    json_decref(object);
    return NULL;
  }
  return object;
}

json_t *dms_json_read(const char *path, gsize limit, DmsError code, GError **error) {
  gsize length;
  g_autofree char *text = dms_file_contents(path, limit, code, &length, error);
  return text ? dms_json_parse(text, length, path, code, error) : NULL;
}

/* `text` cut to a length that fits a message, at the end of a character. */
static char *shorten(const char *text) {
  enum { LONGEST = 80 };
  if (strlen(text) <= LONGEST) return g_strdup(text);
  const char *cut = g_utf8_find_prev_char(text, text + LONGEST);
  return g_strdup_printf("%.*s...", (int)(cut - text), text);
}

char *dms_excerpt(const char *text, gsize length) {
  enum { LONGEST = 80 };
  g_autofree char *head = g_utf8_make_valid(text, (gssize)MIN(length, LONGEST));
  for (char *c = head; *c; c++)
    if (g_ascii_iscntrl(*c)) *c = ' ';
  return g_strconcat(head, length > LONGEST ? "..." : "", NULL);
}

char *dms_json_excerpt(const json_t *value) {
  if (!value) return g_strdup("missing");
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  char *excerpt = shorten(text ? text : "not printable");
  free(text);
  return excerpt;
}

gboolean dms_json_refuse(const DmsJson *json, const char *key, GError **error, const char *allowed, ...) {
  va_list arguments;
  va_start(arguments, allowed);
  g_autofree char *rule = g_strdup_vprintf(allowed, arguments);
  va_end(arguments);
  g_autofree char *value = dms_json_excerpt(json_object_get(json->object, key));
  g_autofree char *member = g_strconcat(json->where, key, NULL), *place = shorten(member);
  g_set_error(error, DMS_ERROR, json->code, "%s: \"%s\" is %s; %s", json->file, place, value, rule);
  return FALSE;
}

gboolean dms_json_has(const DmsJson *json, const char *key) {
  json_t *value = json_object_get(json->object, key);
  return value && !json_is_null(value);
}

gboolean dms_json_integer(const DmsJson *json, const char *key, gboolean required, gint64 low, gint64 high, int *value,
                          GError **error) {
  if (!required && !dms_json_has(json, key)) return TRUE;
  json_t *member = json_object_get(json->object, key);
  json_int_t found = json_integer_value(member);
  if (!json_is_integer(member) || found < low || found > high)
    return dms_json_refuse(json, key, error, "it must be an integer from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                           low, high);
  *value = (int)found;
  return TRUE;
}

gboolean dms_json_number(const DmsJson *json, const char *key, gboolean required, double low, double high,
                         double *value, GError **error) {
  if (!required && !dms_json_has(json, key)) return TRUE;
  json_t *member = json_object_get(json->object, key);
  double found = json_number_value(member);
  if (!json_is_number(member) || !isfinite(found) || found < low || found > high)
    return dms_json_refuse(json, key, error, "it must be a number from %g to %g", low, high);
  *value = found;
  return TRUE;
}

gboolean dms_json_boolean(const DmsJson *json, const char *key, gboolean required, gboolean *value, GError **error) {
  if (!required && !dms_json_has(json, key)) return TRUE;
  json_t *member = json_object_get(json->object, key);
  if (!json_is_boolean(member)) return dms_json_refuse(json, key, error, "it must be true or false");
  *value = json_is_true(member);
  return TRUE;
}

gboolean dms_json_string(const DmsJson *json, const char *key, gboolean required, const char **value, GError **error) {
  if (!required && !dms_json_has(json, key)) return TRUE;
  json_t *member = json_object_get(json->object, key);
  if (!json_is_string(member)) return dms_json_refuse(json, key, error, "it must be a string");
  *value = json_string_value(member);
  return TRUE;
}
