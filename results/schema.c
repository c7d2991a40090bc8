/* schema.sql, which travels inside the program: making a store by it, and holding a store against it. */
#include "results/store.h"

extern const char _binary_results_schema_sql_start[], _binary_results_schema_sql_end[];

static char *schema_text(void) {
  return g_strndup(_binary_results_schema_sql_start,
                   (gsize)(_binary_results_schema_sql_end - _binary_results_schema_sql_start));
}

gboolean results_schema_create(ResultsStore *store, GError **error) {
  g_autofree char *schema = schema_text();
  g_autofree char *script = g_strdup_printf(
      "BEGIN EXCLUSIVE; %s; INSERT INTO store VALUES (1, strftime('%%Y-%%m-%%dT%%H:%%M:%%SZ', 'now'), 1); "
      "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
      schema, RESULTS_APPLICATION_ID, RESULTS_SCHEMA_VERSION);
  return results_db_script(store, script, error);
}

/* Tables and views with their columns, types and whether they may be NULL, one row each. */
#define COLUMNS "(SELECT group_concat(name || ' ' || type || ' ' || \"notnull\", ', ') FROM pragma_table_info("
static const char wanted_sql[] =
    "SELECT entry.name, " COLUMNS
    "entry.name)) FROM sqlite_schema AS entry WHERE type IN ('table', 'view') AND entry.name NOT LIKE 'sqlite%'";

static gboolean compare_tables(ResultsStore *store, sqlite3_stmt *wanted, GError **error) {
  while (sqlite3_step(wanted) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(wanted, 0),
               *columns = (const char *)sqlite3_column_text(wanted, 1);
    gint64 found = 0;
    if (!results_db_integer(store, &found, error, "SELECT " COLUMNS "?1)) IS ?2", "ss", name, columns)) return FALSE;
    if (found) continue;
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_CORRUPT,
                "%s: '%s' has not the columns of schema %d (%s): the file was changed by another program or written "
                "by an unfinished version of this one; use a copy, or start a new store",
                store->path, name, RESULTS_SCHEMA_VERSION, columns);
    return FALSE;
  }
  return TRUE;
}

gboolean results_schema_check(ResultsStore *store, GError **error) {
  g_autofree char *schema = schema_text();
  sqlite3 *model = NULL;
  sqlite3_stmt *wanted = NULL;
  gboolean ok = sqlite3_open(":memory:", &model) == SQLITE_OK &&
                sqlite3_exec(model, schema, NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_prepare_v2(model, wanted_sql, -1, &wanted, NULL) == SQLITE_OK;
  if (ok)
    ok = compare_tables(store, wanted, error);
  else
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_OPEN, "%s: SQLite cannot make this program's own schema: %s",
                store->path, sqlite3_errmsg(model));
  sqlite3_finalize(wanted);
  sqlite3_close(model);
  return ok;
}
