/* Lines of a JSONL file, one in memory at a time. */
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

#endif
