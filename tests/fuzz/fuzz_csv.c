/* Any bytes as a CSV file: every row has the header's fields, each of them terminated inside the text. */
#include "datasets/csv.h"

#include "datasets/dataset.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autoptr(GError) error = NULL;
  g_autoptr(CsvTable) table = csv_parse(g_memdup2(data, size), size, "fuzz.csv", &error);
  if (!table) {
    g_assert(error && error->domain == DATASET_ERROR);
    return 0;
  }
  g_assert(!error && table->n_columns > 0);
  for (guint i = 0; i < table->rows->len; i++) {
    const CsvRow *row = &g_array_index(table->rows, CsvRow, i);
    g_assert(row->line > 0 && !row->fields[table->n_columns]);
    for (guint j = 0; j < table->n_columns; j++) {
      g_assert(row->fields[j] + strlen(row->fields[j]) <= table->text + size);
      g_assert(g_utf8_validate(row->fields[j], -1, NULL));
    }
  }
  csv_column(table, table->columns[0], "fuzz.csv", NULL);
  return 0;
}
