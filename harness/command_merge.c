/* hyperscale merge: the stores of a run's shards become one. */
#include <jansson.h>
#include <stdio.h>

#include "harness/command.h"
#include "harness/runner.h"

static gboolean json;

static const GOptionEntry entries[] = {
    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print what was added as JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static int run(int argc, char **argv);
const Command command_merge = {
    "merge", "STORE SHARD...", "Join the stores of a run's shards",
    "Adds to STORE (made if it is not there) all that each SHARD has, and derives the budgets of its runs again. "
    "Merging the same shard twice changes nothing; a thread that two stores hold with different content is refused.",
    run};

static gboolean merge_shard(ResultsStore *store, const char *path, GError **error) {
  ResultsMerged merged = {0};
  if (!results_merge(store, path, &merged, error)) return FALSE;
  if (json) {
    json_t *object = json_pack("{s:s, s:i, s:i, s:i, s:i}", "shard", path, "runs", merged.runs, "threads",
                               merged.threads, "generations", merged.generations, "grades", merged.grades);
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
  } else {
    printf("%s: %u run%s, %u threads, %u generations, %u grades are new\n", path, merged.runs,
           merged.runs == 1 ? "" : "s", merged.threads, merged.generations, merged.grades);
  }
  return TRUE;
}

/* Before STORE is made: a mistyped shard leaves nothing behind. */
static gboolean check_shards(char **paths, GError **error) {
  for (; *paths; paths++) {
    ResultsStore *shard = results_open(*paths, RESULTS_READ, error);
    if (!shard) return FALSE;
    results_close(shard);
  }
  return TRUE;
}

static gboolean derive_runs(ResultsStore *store, GError **error) {
  g_auto(GStrv) names = results_runs(store, error);
  for (char **name = names; name && *name; name++) {
    ResultsSummary *summary = results_summary(store, *name, error);
    g_autoptr(Plan) plan = summary ? plan_parse(summary->info.plan, *name, error) : NULL;
    gboolean ok = plan && runner_derive(store, summary->run, plan, error);
    results_summary_free(summary);
    if (!ok) return FALSE;
  }
  return names != NULL;
}

static int run(int argc, char **argv) {
  GError *error = NULL;
  if (!options_parse(&command_merge, entries, 2, -1, &argc, &argv)) return EXIT_USAGE;
  ResultsStore *store = check_shards(argv + 2, &error) ? results_open(argv[1], RESULTS_WRITE, &error) : NULL;
  gboolean ok = store != NULL;
  for (int i = 2; ok && i < argc; i++) ok = merge_shard(store, argv[i], &error);
  ok = ok && derive_runs(store, &error);
  results_close(store);
  return ok ? EXIT_DONE : command_fail(&command_merge, error);
}
