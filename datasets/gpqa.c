/* GPQA: CSV whose columns are found by name, the options put into an order that is stored with the row.
 *
 * The correct option is followed by position, never by its text: some rows repeat an option. */
#include "datasets/archive.h"
#include "datasets/csv.h"
#include "datasets/option_order.h"
#include "datasets/rows.h"

#include <string.h>

/* The published archive, dataset.zip; its password stands in the README beside it, to keep crawlers out. */
#define ARCHIVE_ENTRY "dataset/gpqa_diamond.csv"
#define ARCHIVE_PASSWORD "deserted-untie-orchid"

enum { QUESTION, OPTION, ID = OPTION + OPTIONS, COLUMNS };
static const char *const column_names[COLUMNS] = {"Question",           "Correct Answer",     "Incorrect Answer 1",
                                                  "Incorrect Answer 2", "Incorrect Answer 3", "Record ID"};

static gboolean read_row(Dataset *dataset, const CsvRow *csv, const int *columns, OptionOrder order, RowPlace place,
                         GError **error) {
  char *field[COLUMNS];
  for (int i = 0; i < COLUMNS; i++) {
    field[i] = csv->fields[columns[i]];
    if (i != QUESTION) g_strstrip(field[i]);
    if (field[i][strspn(field[i], " \t\r\n")] == '\0') {
      row_error(error, place, "column \"%s\" is empty", column_names[i]);
      return FALSE;
    }
  }
  DatasetRow row = {.line = csv->line, .problem.n_options = OPTIONS};
  DatasetProblem *problem = &row.problem;
  problem->id = dataset_keep(dataset, field[ID]);
  problem->question = dataset_keep(dataset, field[QUESTION]);
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  fingerprint_add(sum, "choice");
  fingerprint_add(sum, problem->question);
  char shown[OPTIONS + 1] = "", letter[2] = "";
  for (guint i = 0; i < OPTIONS; i++) {
    problem->options[i] = dataset_keep(dataset, field[OPTION + order.order[i]]);
    shown[i] = (char)('0' + order.order[i]);
    if (order.order[i] == 0) letter[0] = (char)('A' + i);
    fingerprint_add(sum, problem->options[i]);
  }
  problem->order = dataset_keep(dataset, shown);
  problem->answer = dataset_keep(dataset, letter);
  fingerprint_add(sum, letter);
  problem->fingerprint = dataset_keep(dataset, g_checksum_get_string(sum));
  return dataset_add(dataset, &row, place, error);
}

/* One order for each row. */
static OptionOrder *choose_orders(const CsvTable *table, int id_column, const DatasetOptions *options, GError **error) {
  g_autofree OptionOrder *orders = g_new(OptionOrder, table->rows->len + 1);
  const char *rule = options->option_order ? options->option_order : "seeded";
  if (strcmp(rule, "simple-evals") == 0) {
    option_order_simple_evals(orders, table->rows->len);
  } else if (strcmp(rule, "seeded") == 0) {
    for (guint i = 0; i < table->rows->len; i++)
      orders[i] =
          option_order_seeded(options->seed, g_strstrip(g_array_index(table->rows, CsvRow, i).fields[id_column]));
  } else {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_NAME,
                "no option order \"%s\"; there are \"seeded\" (the default) and \"simple-evals\"", rule);
    return NULL;
  }
  return g_steal_pointer(&orders);
}

/* Takes `text`. */
static gboolean read_text(Dataset *dataset, char *text, gsize length, const char *name, const DatasetOptions *options,
                          GError **error) {
  g_autoptr(CsvTable) table = csv_parse(text, length, name, error);
  if (!table) return FALSE;
  int columns[COLUMNS];
  for (int i = 0; i < COLUMNS; i++)
    if ((columns[i] = csv_column(table, column_names[i], name, error)) < 0) return FALSE;
  g_autofree OptionOrder *orders = choose_orders(table, columns[ID], options, error);
  if (!orders) return FALSE;
  for (guint i = 0; i < table->rows->len; i++) {
    const CsvRow *row = &g_array_index(table->rows, CsvRow, i);
    if (!read_row(dataset, row, columns, orders[i], (RowPlace){name, row->line}, error)) return FALSE;
  }
  return TRUE;
}

gboolean dataset_read_gpqa(Dataset *dataset, const char *path, const DatasetOptions *options, GError **error) {
  g_autofree char *text = NULL;
  gsize length;
  if (!read_small_file(path, &text, &length, error)) return FALSE;
  if (archive_is_zip(text, length)) {
    char *csv = archive_read(text, length, path, ARCHIVE_ENTRY, ARCHIVE_PASSWORD, SMALL_FILE_MAX, &length, error);
    g_free(text);
    text = csv;
  }
  return text && read_text(dataset, g_steal_pointer(&text), length, path, options, error);
}
