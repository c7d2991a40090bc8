/* Tables: collected once, written in three formats. */
#include "reports/table.h"

#include <string.h>

typedef struct {
  char *text;
  gboolean strong;
} Cell;

typedef struct {
  char *heading;
  gboolean number;
} Column;

struct Table {
  char *caption;
  GArray *columns; /* Column */
  GPtrArray *rows; /* GArray of Cell */
};

static void clear_cell(gpointer cell) {
  g_free(((Cell *)cell)->text);
}
static void clear_column(gpointer column) {
  g_free(((Column *)column)->heading);
}

Table *report_table_new(const char *caption) {
  Table *table = g_new0(Table, 1);
  table->caption = g_strdup(caption);
  table->columns = g_array_new(FALSE, FALSE, sizeof(Column));
  g_array_set_clear_func(table->columns, clear_column);
  table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_array_unref);
  return table;
}

void report_table_free(Table *table) {
  if (!table) return;
  g_free(table->caption);
  g_array_unref(table->columns);
  g_ptr_array_unref(table->rows);
  g_free(table);
}

void report_table_column(Table *table, const char *heading, gboolean number) {
  Column column = {g_strdup(heading), number};
  g_array_append_val(table->columns, column);
}

void report_table_row(Table *table) {
  GArray *row = g_array_new(FALSE, FALSE, sizeof(Cell));
  g_array_set_clear_func(row, clear_cell);
  g_ptr_array_add(table->rows, row);
}

static GArray *last_row(Table *table) {
  return table->rows->pdata[table->rows->len - 1];
}

void report_table_cell(Table *table, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Cell cell = {g_strdup_vprintf(format, arguments), FALSE};
  va_end(arguments);
  g_array_append_val(last_row(table), cell);
}

void report_table_strong(Table *table) {
  GArray *row = last_row(table);
  g_array_index(row, Cell, row->len - 1).strong = TRUE;
}

guint report_table_rows(const Table *table) {
  return table->rows->len;
}

static Cell cell_at(const Table *table, guint row, guint column) {
  const GArray *cells = table->rows->pdata[row];
  return column < cells->len ? g_array_index(cells, Cell, column) : (Cell){(char *)"", FALSE};
}

static void write_html(GString *out, const Table *table) {
  g_string_append(out, "<div class=\"scroll\"><table><thead><tr>");
  for (guint c = 0; c < table->columns->len; c++) {
    const Column *column = &g_array_index(table->columns, Column, c);
    g_string_append(out, column->number ? "<th class=\"num\">" : "<th>");
    report_text_append(out, TEXT_HTML, column->heading, -1);
  }
  g_string_append(out, "</thead><tbody>");
  for (guint r = 0; r < table->rows->len; r++) {
    g_string_append(out, "<tr>");
    for (guint c = 0; c < table->columns->len; c++) {
      Cell cell = cell_at(table, r, c);
      g_string_append(out, g_array_index(table->columns, Column, c).number ? "<td class=\"num\">" : "<td>");
      g_string_append(out, cell.strong ? "<b>" : "");
      report_text_append(out, TEXT_HTML, cell.text, -1);
      g_string_append(out, cell.strong ? "</b>" : "");
    }
  }
  g_string_append(out, "</tbody></table></div>");
}

static void write_markdown(GString *out, const Table *table) {
  report_text_print(out, TEXT_MARKDOWN, "**%s**\n\n|", table->caption);
  for (guint c = 0; c < table->columns->len; c++)
    report_text_print(out, TEXT_MARKDOWN, " %s |", g_array_index(table->columns, Column, c).heading);
  g_string_append(out, "\n|");
  for (guint c = 0; c < table->columns->len; c++)
    g_string_append(out, g_array_index(table->columns, Column, c).number ? " ---: |" : " --- |");
  g_string_append_c(out, '\n');
  for (guint r = 0; r < table->rows->len; r++) {
    g_string_append_c(out, '|');
    for (guint c = 0; c < table->columns->len; c++) {
      Cell cell = cell_at(table, r, c);
      g_string_append(out, cell.strong ? " **" : " ");
      report_text_append(out, TEXT_MARKDOWN, cell.text, -1);
      g_string_append(out, cell.strong ? "** |" : " |");
    }
    g_string_append_c(out, '\n');
  }
  g_string_append_c(out, '\n');
}

static void write_tex(GString *out, const Table *table) {
  g_string_append(out, "\\begin{table}\n  \\centering\n  \\caption{");
  report_text_append(out, TEXT_TEX, table->caption, -1);
  g_string_append(out, "}\n  \\begin{tabular}{");
  for (guint c = 0; c < table->columns->len; c++)
    g_string_append_c(out, g_array_index(table->columns, Column, c).number ? 'r' : 'l');
  g_string_append(out, "}\n    \\toprule\n    ");
  for (guint c = 0; c < table->columns->len; c++) {
    g_string_append(out, c ? " & " : "");
    report_text_append(out, TEXT_TEX, g_array_index(table->columns, Column, c).heading, -1);
  }
  g_string_append(out, " \\\\\n    \\midrule\n");
  for (guint r = 0; r < table->rows->len; r++) {
    g_string_append(out, "    ");
    for (guint c = 0; c < table->columns->len; c++) {
      Cell cell = cell_at(table, r, c);
      g_string_append(out, c ? " & " : "");
      g_string_append(out, cell.strong ? "\\textbf{" : "");
      report_text_append(out, TEXT_TEX, cell.text, -1);
      g_string_append(out, cell.strong ? "}" : "");
    }
    g_string_append(out, " \\\\\n");
  }
  g_string_append(out, "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n\n");
}

void report_table_write(GString *out, const Table *table, TextFormat format) {
  if (format == TEXT_HTML)
    write_html(out, table);
  else if (format == TEXT_TEX)
    write_tex(out, table);
  else
    write_markdown(out, table);
}
