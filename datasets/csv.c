/* One pass over the text, fields unquoted in place: a field never grows, so what is written stays behind what is
 * read. */
#include "datasets/csv.h"

#include "datasets/dataset.h"

#include <string.h>

typedef struct {
  char *read, *end;
  const char *name;
  guint line;
} Cursor;

G_GNUC_PRINTF(3, 4) static void fail(GError **error, const Cursor *at, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *message = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s:%u: %s", at->name, at->line, message);
}

/* Steps over a line end, if one is here. A CR alone is none. */
static gboolean skip_line_end(Cursor *at) {
  if (at->read < at->end && *at->read == '\n')
    at->read++;
  else if (at->end - at->read >= 2 && at->read[0] == '\r' && at->read[1] == '\n')
    at->read += 2;
  else
    return FALSE;
  at->line++;
  return TRUE;
}

static gboolean at_field_end(const Cursor *at) {
  return at->read == at->end || *at->read == ',' || *at->read == '\n' ||
         (*at->read == '\r' && at->end - at->read >= 2 && at->read[1] == '\n');
}

/* Reads a quoted field from behind its opening quote; returns where its text ends, NULL on an error. */
static char *read_quoted(Cursor *at, GError **error) {
  guint begin = at->line;
  char *write = at->read;
  for (;; *write++ = *at->read++) {
    if (at->read == at->end) {
      at->line = begin;
      fail(error, at, "a quoted field begins here and never ends");
      return NULL;
    }
    if (*at->read == '\n') at->line++;
    if (*at->read != '"') continue;
    at->read++;
    if (at->read == at->end || *at->read != '"') break;
  }
  if (at_field_end(at)) return write;
  fail(error, at, "text behind a closing quote; a quote inside a field is written \"\"");
  return NULL;
}

static char *read_unquoted(Cursor *at, GError **error) {
  while (!at_field_end(at)) {
    if (*at->read == '"' || *at->read == '\r') {
      fail(error, at, *at->read == '"' ? "a quote inside an unquoted field" : "a carriage return without a line feed");
      return NULL;
    }
    at->read++;
  }
  return at->read;
}

/* One row's fields, appended to `fields`. */
static gboolean read_row(Cursor *at, GPtrArray *fields, GError **error) {
  for (;;) {
    gboolean quoted = at->read < at->end && *at->read == '"';
    if (quoted) at->read++;
    char *text = at->read, *text_end = quoted ? read_quoted(at, error) : read_unquoted(at, error);
    if (!text_end) return FALSE;
    g_ptr_array_add(fields, text);
    gboolean more = at->read < at->end && *at->read == ',';
    if (more)
      at->read++;
    else
      skip_line_end(at);
    *text_end = '\0'; /* only now: it may stand where the separator stood */
    if (!more) return TRUE;
  }
}

static CsvTable *parse(CsvTable *table, Cursor *at, GError **error) {
  for (;;) {
    while (skip_line_end(at)) {}
    if (at->read == at->end) break;
    guint line = at->line;
    g_autoptr(GPtrArray) fields = g_ptr_array_new();
    if (!read_row(at, fields, error)) return NULL;
    if (table->columns && fields->len != table->n_columns) {
      at->line = line;
      fail(error, at, "the row has %u fields, the header has %u", fields->len, table->n_columns);
      return NULL;
    }
    guint n_fields = fields->len;
    g_ptr_array_add(fields, NULL);
    CsvRow row = {line, (char **)g_ptr_array_free(g_steal_pointer(&fields), FALSE)};
    if (!table->columns) {
      table->columns = row.fields;
      table->n_columns = n_fields;
    } else {
      g_array_append_val(table->rows, row);
    }
  }
  if (table->columns) return table;
  fail(error, at, "no header row");
  return NULL;
}

CsvTable *csv_parse(char *text, gsize length, const char *name, GError **error) {
  /* The terminator of the last field needs a byte of its own. */
  text = g_realloc(text, length + 1);
  text[length] = '\0';
  g_autoptr(CsvTable) table = g_new0(CsvTable, 1);
  table->text = text;
  table->rows = g_array_new(FALSE, FALSE, sizeof(CsvRow));
  Cursor at = {text, text + length, name, 1};
  const char *invalid;
  if (!g_utf8_validate(text, (gssize)length, &invalid)) {
    for (const char *p = text; p < invalid; p++) at.line += *p == '\n';
    fail(error, &at, *invalid ? "byte 0x%02x is not valid UTF-8" : "a NUL byte (0x%02x)", (guchar)*invalid);
    return NULL;
  }
  if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) at.read += 3;
  return parse(table, &at, error) ? g_steal_pointer(&table) : NULL;
}

void csv_table_free(CsvTable *table) {
  for (guint i = 0; i < table->rows->len; i++) g_free(g_array_index(table->rows, CsvRow, i).fields);
  g_array_free(table->rows, TRUE);
  g_free(table->columns);
  g_free(table->text);
  g_free(table);
}

int csv_column(const CsvTable *table, const char *column, const char *name, GError **error) {
  int found = -1;
  for (guint i = 0; i < table->n_columns; i++) {
    if (strcmp(table->columns[i], column) != 0) continue;
    if (found >= 0) {
      g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s:1: column \"%s\" occurs twice", name, column);
      return -1;
    }
    found = (int)i;
  }
  if (found < 0) g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s:1: no column \"%s\"", name, column);
  return found;
}
