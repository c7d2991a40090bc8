/* CSV by RFC 4180, strictly: what the RFC does not allow is refused with its line, never repaired. */
#ifndef HYPERSCALE_DATASETS_CSV_H
#define HYPERSCALE_DATASETS_CSV_H

#include <glib.h>

typedef struct {
  guint line;    /* where the row begins, from 1: quoted fields may hold newlines */
  char **fields; /* as many as the header has */
} CsvRow;

typedef struct {
  guint n_columns;
  char **columns; /* the header row */
  GArray *rows;   /* CsvRow, the header excluded */
  char *text;     /* what the fields point into */
} CsvTable;

/* Takes `text` (of `length` bytes, freed by csv_table_free()) and cuts it into fields in place. Accepted besides the
 * RFC's CRLF: LF, a UTF-8 byte order mark, blank lines between rows, no line end behind the last row.
 * DATASET_ERROR_FORMAT, with `name` and line, for: a row with more or fewer fields than the header, a quote inside
 * an unquoted field, text behind a closing quote, a quoted field that never ends, a lone CR, a NUL byte, invalid
 * UTF-8, no header. */
CsvTable *csv_parse(char *text, gsize length, const char *name, GError **error);
void csv_table_free(CsvTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CsvTable, csv_table_free)

/* The index of the column called `column`; -1 and DATASET_ERROR_FORMAT when there is none, or more than one. */
int csv_column(const CsvTable *table, const char *column, const char *name, GError **error);

#endif
