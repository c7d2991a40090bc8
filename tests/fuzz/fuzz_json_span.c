/* Any bytes as JSON: what is found in place must be what jansson finds by building a tree. */
#include "datasets/json_span.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The string between quotes, by both. */
static void check_string(const char *text, size_t size) {
  JsonSpan span = {text, text + size};
  json_t *expected = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  gsize length;
  g_autofree char *found = json_span_string(&span, &length, NULL);
  if (json_is_string(expected)) {
    g_assert(found && length == json_string_length(expected) &&
             memcmp(found, json_string_value(expected), length + 1) == 0);
  }
  json_decref(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *text = (const char *)data;
  if (!g_utf8_validate_len(text, size, NULL)) return 0;
  JsonSpan span, member;
  if (json_span(text, text + size, &span)) {
    g_assert(span.begin >= text && span.begin < span.end && span.end <= text + size);
    if (*span.begin == '"' && span.end[-1] == '"') check_string(span.begin, (size_t)(span.end - span.begin));
  }
  json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
  gboolean found = json_member_span(text, size, "k", &member);
  json_t *expected = json_object_get(object, "k");
  if (found && json_is_object(object) && expected) {
    json_t *value =
        json_loadb(member.begin, (size_t)(member.end - member.begin), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    g_assert(value && json_equal(value, expected));
    json_decref(value);
    JsonSpan whole = {text, text + size};
    g_autoptr(GString) rest = json_span_without(&whole, &member, 1);
    json_t *without = json_loadb(rest->str, rest->len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    g_assert(without && json_object_size(without) == json_object_size(object));
    json_decref(without);
  }
  json_decref(object);
  return 0;
}
