/* Lines of a JSONL file, one in memory at a time, and spans of JSON found without building a tree. */
#ifndef HYPERSCALE_DATASETS_JSONL_H
#define HYPERSCALE_DATASETS_JSONL_H

#include <glib.h>

typedef struct JsonlReader JsonlReader;

typedef struct {
  const char *text; /* not terminated; valid until the next call */
  gsize length;     /* bytes, the line end excluded */
  guint64 offset;   /* of the first byte in the file */
  guint number;     /* from 1 */
} JsonlLine;

/* Reads from `fd`, which stays the caller's; `name` is for messages. A line of more than `max_line` bytes is an
 * error. */
JsonlReader *jsonl_reader_new(int fd, const char *name, gsize max_line);
void jsonl_reader_free(JsonlReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonlReader, jsonl_reader_free)
/* The next line that is not blank; a byte order mark at the start of the file is skipped. FALSE at the end, and on
 * an error, which alone sets `error`. */
gboolean jsonl_next(JsonlReader *reader, JsonlLine *line, GError **error);

typedef struct {
  const char *begin, *end;
} JsonSpan;

/* The span of the JSON value that begins at or, after blanks, behind `text`. Brackets and strings are balanced,
 * nothing more is checked: the parser that gets the span does that. FALSE when the text ends first. Linear time, no
 * recursion. */
gboolean json_span(const char *text, const char *end, JsonSpan *value);
/* The span of the value at `key` of the object in `text`; the first of that name. FALSE when there is none. */
gboolean json_member_span(const char *text, gsize length, const char *key, JsonSpan *value);

#endif
