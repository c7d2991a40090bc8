/* Tables: collected once, written in three formats. */
#include "reports/table.h"

#include <math.h>
#include <string.h>

#define BRIEF 32    /* bytes of a text that is not broken into lines */
#define TEX_PAGE 40 /* rows that surely fit on a page */

typedef struct {
  char *text; /* NULL: an interval */
  gboolean strong;
  double low, value, high;
} Cell;

typedef struct {
  char *heading;
  TableColumn kind;
  double low, high; /* of all intervals in the column, zero within */
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

void report_table_column(Table *table, const char *heading, TableColumn kind) {
  Column column = {.heading = g_strdup(heading), .kind = kind};
  g_array_append_val(table->columns, column);
}

Table *report_table_with(const char *caption, const char *const *headings, guint n, int number) {
  Table *table = report_table_new(caption);
  for (guint i = 0; i < n; i++) report_table_column(table, headings[i], (int)i == number ? TABLE_NUMBER : TABLE_TEXT);
  return table;
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
  Cell cell = {.text = g_strdup_vprintf(format, arguments)};
  va_end(arguments);
  g_array_append_val(last_row(table), cell);
}

void report_table_interval(Table *table, double low, double value, double high) {
  GArray *row = last_row(table);
  Cell cell = {.low = low, .value = value, .high = high};
  if (isfinite(low) && isfinite(value) && isfinite(high)) {
    Column *column = &g_array_index(table->columns, Column, row->len);
    column->low = MIN(column->low, low);
    column->high = MAX(column->high, high);
  } else {
    cell.text = g_strdup("");
  }
  g_array_append_val(row, cell);
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
  return column < cells->len ? g_array_index(cells, Cell, column) : (Cell){.text = (char *)""};
}

static const Column *column_at(const Table *table, guint column) {
  return &g_array_index(table->columns, Column, column);
}

/* A text as it is set in a format, bold or not. */
static void write_text(GString *out, const Cell *cell, TextFormat format, const char *bold, const char *end) {
  g_string_append(out, cell->strong ? bold : "");
  report_text_append(out, format, cell->text, -1);
  g_string_append(out, cell->strong ? end : "");
}

static void draw_interval(GString *out, const Column *column, const Cell *cell) {
  const double width = 140, span = column->high > column->low ? column->high - column->low : 1;
  double low = 6 + (width - 12) * (cell->low - column->low) / span,
         high = 6 + (width - 12) * (cell->high - column->low) / span;
  double value = 6 + (width - 12) * (cell->value - column->low) / span, zero = 6 - (width - 12) * column->low / span;
  report_html(out,
              "<svg class=\"interval\" viewBox=\"0 0 %.0f 16\" width=\"%.0f\" height=\"16\"><path class=\"zero\" "
              "d=\"M%.1f,0V16\"/>"
              "<path class=\"reach\" d=\"M%.1f,8H%.1f\"/><circle class=\"%s\" cx=\"%.1f\" cy=\"8\" r=\"3.5\"/></svg>",
              width, width, zero, low, high, cell->strong ? "sure" : "unsure", value);
}

static void write_html(GString *out, const Table *table) {
  static const char *const classes[] = {[TABLE_TEXT] = "", [TABLE_NUMBER] = " class=\"num\"", [TABLE_INTERVAL] = ""};
  g_string_append(out, "<div class=\"scroll\"><table><thead><tr>");
  for (guint c = 0; c < table->columns->len; c++) {
    g_string_append_printf(out, "<th%s>", classes[column_at(table, c)->kind]);
    report_text_append(out, TEXT_HTML, column_at(table, c)->heading, -1);
  }
  g_string_append(out, "</thead><tbody>");
  for (guint r = 0; r < table->rows->len; r++) {
    g_string_append(out, "<tr>");
    for (guint c = 0; c < table->columns->len; c++) {
      Cell cell = cell_at(table, r, c);
      gboolean brief = column_at(table, c)->kind == TABLE_TEXT && cell.text && strlen(cell.text) <= BRIEF;
      g_string_append_printf(out, "<td%s>", brief ? " class=\"brief\"" : classes[column_at(table, c)->kind]);
      if (cell.text)
        write_text(out, &cell, TEXT_HTML, "<b>", "</b>");
      else
        draw_interval(out, column_at(table, c), &cell);
    }
  }
  g_string_append(out, "</tbody></table></div>");
}

static void write_markdown(GString *out, const Table *table) {
  report_text_print(out, TEXT_MARKDOWN, "**%s**\n\n|", table->caption);
  for (guint c = 0; c < table->columns->len; c++)
    if (column_at(table, c)->kind != TABLE_INTERVAL)
      report_text_print(out, TEXT_MARKDOWN, " %s |", column_at(table, c)->heading);
  g_string_append(out, "\n|");
  for (guint c = 0; c < table->columns->len; c++)
    if (column_at(table, c)->kind != TABLE_INTERVAL)
      g_string_append(out, column_at(table, c)->kind == TABLE_NUMBER ? " ---: |" : " --- |");
  g_string_append_c(out, '\n');
  for (guint r = 0; r < table->rows->len; r++) {
    g_string_append_c(out, '|');
    for (guint c = 0; c < table->columns->len; c++) {
      Cell cell = cell_at(table, r, c);
      if (column_at(table, c)->kind == TABLE_INTERVAL) continue;
      g_string_append_c(out, ' ');
      write_text(out, &cell, TEXT_MARKDOWN, "**", "**");
      g_string_append(out, " |");
    }
    g_string_append_c(out, '\n');
  }
  g_string_append_c(out, '\n');
}

static void write_tex_row(GString *out, const Table *table, guint row) {
  g_string_append(out, "    ");
  for (guint c = 0; c < table->columns->len; c++) {
    Cell cell = cell_at(table, row, c);
    if (column_at(table, c)->kind == TABLE_INTERVAL) continue;
    g_string_append(out, c ? " & " : "");
    write_text(out, &cell, TEXT_TEX, "\\textbf{", "}");
  }
  g_string_append(out, " \\\\\n");
}

/* What does not fit on a page goes on on the next. */
static void write_tex(GString *out, const Table *table) {
  const gboolean breaks = table->rows->len > TEX_PAGE;
  g_autoptr(GString) columns = g_string_new(NULL), caption = g_string_new(NULL), heading = g_string_new("    ");
  report_text_append(caption, TEXT_TEX, table->caption, -1);
  for (guint c = 0; c < table->columns->len; c++) {
    if (column_at(table, c)->kind == TABLE_INTERVAL) continue;
    g_string_append_c(columns, column_at(table, c)->kind == TABLE_NUMBER ? 'r' : 'l');
    report_text_print(heading, TEXT_TEX, c ? " & %s" : "%s", column_at(table, c)->heading);
  }
  const char *const small = "\\footnotesize\\setlength{\\tabcolsep}{4pt}";
  if (breaks)
    g_string_append_printf(out, "{%s\n  \\begin{longtable}{%s}\n    \\caption{%s}\\\\\n", small, columns->str,
                           caption->str);
  else
    g_string_append_printf(out, "\\begin{table}\n  \\centering%s\n  \\caption{%s}\n  \\begin{tabular}{%s}\n", small,
                           caption->str, columns->str);
  g_string_append_printf(out, "    \\toprule\n%s \\\\\n    \\midrule\n%s", heading->str,
                         breaks ? "    \\endhead\n    \\bottomrule\n    \\endfoot\n" : "");
  for (guint r = 0; r < table->rows->len; r++) write_tex_row(out, table, r);
  g_string_append(out, breaks ? "  \\end{longtable}}\n\n" : "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n\n");
}

void report_table_write(GString *out, const Table *table, TextFormat format) {
  if (format == TEXT_HTML)
    write_html(out, table);
  else if (format == TEXT_TEX)
    write_tex(out, table);
  else
    write_markdown(out, table);
}
