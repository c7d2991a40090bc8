/* hyperscale export: the store for others to read. */
#include <stdio.h>

#include "harness/command.h"
#include "harness/terminal.h"
#include "results/results.h"

static char *store = (char *)DEFAULT_STORE, *sqlite;

static const GOptionEntry entries[] = {
    {"db", 0, 0, G_OPTION_ARG_FILENAME, &store, "The store (default " DEFAULT_STORE ")", "FILE"},
    {"sqlite", 0, 0, G_OPTION_ARG_FILENAME, &sqlite, "Write the store without texts to FILE, which must not exist",
     "FILE"},
    G_OPTION_ENTRY_NULL,
};

static int run(int argc, char **argv);
const Command command_export = {
    "export", NULL, "Copy the store without prompts and texts",
    "The copy has every accuracy, cost, live trace and answer, so that all reports but the thread browser can be made "
    "from it; prompts, tokens and texts are left out. Tables and plots: see 'hyperscale report --format'.",
    run};

static int run(int argc, char **argv) {
  GError *error = NULL;
  if (!options_parse(&command_export, entries, 0, 0, &argc, &argv)) return EXIT_USAGE;
  if (!sqlite) {
    fputs("hyperscale export: --sqlite FILE is needed\nTry 'hyperscale export --help'.\n", stderr);
    return EXIT_USAGE;
  }
  if (g_file_test(sqlite, G_FILE_TEST_EXISTS)) {
    fprintf(stderr, "hyperscale export: %s is there already; remove it or choose another name\n", sqlite);
    return EXIT_USAGE;
  }
  ResultsStore *opened = results_open(store, RESULTS_READ, &error);
  gboolean ok = opened && results_export_sqlite(opened, sqlite, &error);
  results_close(opened);
  if (ok) puts(sqlite);
  return ok ? EXIT_DONE : command_fail(&command_export, error);
}
