/* Lines of a JSONL file by read(2) into one growing buffer: a LiveCodeBench file has rows of over 100 MB and must
 * never be held whole. */
#include "datasets/jsonl.h"

#include "datasets/dataset.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHUNK ((gsize)1 << 20)

struct JsonlReader {
  int fd;
  char *name;
  gsize max_line;
  char *buffer;
  gsize begin, end, size; /* unread bytes are buffer[begin .. end) */
  guint64 offset;         /* of buffer[begin] in the file */
  guint line;
  gboolean at_end;
};

JsonlReader *jsonl_reader_new(int fd, const char *name, gsize max_line) {
  JsonlReader *reader = g_new0(JsonlReader, 1);
  *reader = (JsonlReader){.fd = fd, .name = g_strdup(name), .max_line = max_line};
  return reader;
}

void jsonl_reader_free(JsonlReader *reader) {
  g_free(reader->name);
  g_free(reader->buffer);
  g_free(reader);
}

/* Reads at least one more byte behind `end`, or sets at_end. */
static gboolean fill(JsonlReader *reader, GError **error) {
  if (reader->begin > 0 && reader->size - reader->end < CHUNK) {
    memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->begin = 0;
  }
  if (reader->size - reader->end < CHUNK) {
    gsize size = MAX(2 * reader->size, 2 * CHUNK);
    char *grown = g_try_realloc(reader->buffer, size);
    if (!grown) {
      g_set_error(error, DATASET_ERROR, DATASET_ERROR_IO, "%s:%u: no memory for a line of more than %zu bytes",
                  reader->name, reader->line + 1, reader->end);
      return FALSE;
    }
    reader->buffer = grown;
    reader->size = size;
  }
  ssize_t n;
  do n = read(reader->fd, reader->buffer + reader->end, reader->size - reader->end);
  while (n < 0 && errno == EINTR);
  if (n < 0) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_IO, "%s: read failed: %s", reader->name, g_strerror(errno));
    return FALSE;
  }
  reader->end += (gsize)n;
  reader->at_end = n == 0;
  return TRUE;
}

static gboolean is_blank(const char *text, gsize length) {
  for (gsize i = 0; i < length; i++)
    if (!strchr(" \t\r", text[i]) || !text[i]) return FALSE;
  return TRUE;
}

static gboolean next_line(JsonlReader *reader, JsonlLine *line, GError **error) {
  gsize searched = 0;
  const char *newline = NULL;
  for (;;) {
    gsize unread = reader->end - reader->begin;
    if (unread > searched) newline = memchr(reader->buffer + reader->begin + searched, '\n', unread - searched);
    searched = unread;
    gsize length = newline ? (gsize)(newline - (reader->buffer + reader->begin)) : unread;
    if (length > reader->max_line) {
      g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s:%u: the line has more than the %zu bytes allowed",
                  reader->name, reader->line + 1, reader->max_line);
      return FALSE;
    }
    if (newline || reader->at_end) break;
    if (!fill(reader, error)) return FALSE;
  }
  gsize length = newline ? (gsize)(newline - (reader->buffer + reader->begin)) : reader->end - reader->begin;
  if (!newline && length == 0) return FALSE;
  reader->line++;
  *line = (JsonlLine){reader->buffer + reader->begin, length, reader->offset, reader->line};
  reader->begin += length + (newline != NULL);
  reader->offset += length + (newline != NULL);
  if (line->number == 1 && length >= 3 && memcmp(line->text, "\xEF\xBB\xBF", 3) == 0) {
    line->text += 3;
    line->length -= 3;
    line->offset += 3;
  }
  return TRUE;
}

gboolean jsonl_next(JsonlReader *reader, JsonlLine *line, GError **error) {
  do
    if (!next_line(reader, line, error)) return FALSE;
  while (is_blank(line->text, line->length));
  return TRUE;
}

/* ---- Spans ------------------------------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
  return p;
}

/* Behind the string whose opening quote is at `p`; NULL when it never closes. memchr goes over a packed test set at
 * memory speed. */
static const char *skip_string(const char *p, const char *end) {
  const char *first = p + 1;
  for (const char *q = first; (q = memchr(q, '"', (gsize)(end - q))); q++) {
    const char *slash = q;
    while (slash > first && slash[-1] == '\\') slash--;
    if ((q - slash) % 2 == 0) return q + 1;
  }
  return NULL;
}

gboolean json_span(const char *text, const char *end, JsonSpan *value) {
  const char *p = value->begin = skip_blanks(text, end);
  gsize depth = 0;
  while (p < end) {
    if (*p == '"') {
      p = skip_string(p, end);
      if (!p) return FALSE;
    } else if (*p == '{' || *p == '[') {
      depth++;
      p++;
    } else if (*p == '}' || *p == ']' || *p == ',') {
      if (depth == 0) break;
      depth -= *p != ',';
      p++;
    } else {
      p++;
      continue;
    }
    if (depth == 0) break;
  }
  value->end = p;
  return depth == 0 && p > value->begin;
}

gboolean json_member_span(const char *text, gsize length, const char *key, JsonSpan *value) {
  const char *end = text + length, *p = skip_blanks(text, end);
  gsize key_length = strlen(key);
  if (p == end || *p++ != '{') return FALSE;
  for (;;) {
    p = skip_blanks(p, end);
    if (p == end || *p != '"') return FALSE;
    const char *name = p + 1;
    p = skip_string(p, end);
    if (!p) return FALSE;
    gboolean found = (gsize)(p - 1 - name) == key_length && memcmp(name, key, key_length) == 0;
    p = skip_blanks(p, end);
    if (p == end || *p++ != ':' || !json_span(p, end, value)) return FALSE;
    if (found) return TRUE;
    p = skip_blanks(value->end, end);
    if (p == end || *p++ != ',') return FALSE;
  }
}
