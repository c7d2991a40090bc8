/* Spans of JSON values, found without building a tree. */
#ifndef HYPERSCALE_DATASETS_JSON_SPAN_H
#define HYPERSCALE_DATASETS_JSON_SPAN_H

#include <glib.h>

typedef struct {
  const char *begin, *end;
} JsonSpan;

/* The span of the JSON value that begins at or, after blanks, behind `text`. Brackets and strings are balanced, nothing
 * more is checked: the parser that gets the span does that. FALSE when the text ends first. Linear time, no
 * recursion. */
gboolean json_span(const char *text, const char *end, JsonSpan *value);
/* The span of the value at `key` of the object in `text`; the first of that name. FALSE when there is none. */
gboolean json_member_span(const char *text, gsize length, const char *key, JsonSpan *value);

/* The string in the span, quotes included, with its escapes undone; terminated, but it may hold NULs. The text around
 * the escapes must be valid UTF-8 already. NULL and DATASET_ERROR_FORMAT when the span is no string of JSON. Free with
 * g_free(). */
char *json_span_string(const JsonSpan *span, gsize *length, GError **error);
/* The object in the span as text, with the values of these members (spans inside it, in order) replaced by "": small
 * enough then for a parser that builds trees, which finds what else is wrong with it. */
GString *json_span_without(const JsonSpan *object, const JsonSpan *members, guint n_members);

#endif
