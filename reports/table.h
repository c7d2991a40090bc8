/* A table of texts, written as HTML, Markdown or LaTeX. Cells are escaped when they are written, so that they may
 * hold anything. */
#ifndef HYPERSCALE_REPORTS_TABLE_H
#define HYPERSCALE_REPORTS_TABLE_H

#include "reports/text.h"

G_BEGIN_DECLS

typedef struct Table Table;

/* `caption` says what the table shows; copied. */
Table *report_table_new(const char *caption);
void report_table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, report_table_free)

typedef enum {
  TABLE_TEXT,
  TABLE_NUMBER,   /* aligned at the right */
  TABLE_INTERVAL, /* drawn about zero, to one scale in the whole column; HTML alone has it */
} TableColumn;

/* Columns come before rows. */
void report_table_column(Table *table, const char *heading, TableColumn kind);
/* A table with these columns, all of text but number `number`; -1: all. */
Table *report_table_with(const char *caption, const char *const *headings, guint n, int number);
/* Begins a row; report_table_cell() fills it from the left, cells left out are empty. */
void report_table_row(Table *table);
void report_table_cell(Table *table, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A cell of a TABLE_INTERVAL column; empty when a value is not finite. */
void report_table_interval(Table *table, double low, double value, double high);
/* Sets the cell written last in bold; an interval's dot is filled then, and hollow else. */
void report_table_strong(Table *table);
guint report_table_rows(const Table *table);

/* TEXT_HTML: a <table> in a box that scrolls; TEXT_MARKDOWN: a pipe table under its caption; TEXT_TEX: a booktabs
 * table float. */
void report_table_write(GString *out, const Table *table, TextFormat format);

G_END_DECLS

#endif
