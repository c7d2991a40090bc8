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
