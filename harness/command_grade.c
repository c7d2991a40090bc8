/* hyperscale grade: grades stored generations again, or texts from elsewhere. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/foreign.h"
#include "harness/option_values.h"
#include "harness/progress.h"
#include "harness/runner.h"
#include "harness/terminal.h"
#include "harness/verdicts.h"

static char *store = (char *)DEFAULT_STORE, *task_wanted, *input, *problems, *mode, *sandbox;
static int workers;
static gboolean quiet, json;

static const GOptionEntry entries[] = {
    {"db", 0, 0, G_OPTION_ARG_FILENAME, &store, "The store (default " DEFAULT_STORE ")", "FILE"},
    {"task", 0, 0, G_OPTION_ARG_STRING, &task_wanted, "Only this task; with --input the task whose rules apply",
     "TASK"},
    {"input", 0, 0, G_OPTION_ARG_FILENAME, &input, "Grade texts from elsewhere: one JSON object a line (- is stdin)",
     "ROWS.jsonl"},
    {"problems", 0, 0, G_OPTION_ARG_FILENAME, &problems, "The task's problems, in the benchmark's own format", "FILE"},
    {"mode", 0, 0, G_OPTION_ARG_STRING, &mode,
     "GPQA: chain (default) or simple-evals; LiveCodeBench: official (default) or real", "MODE"},
    {"sandbox", 0, 0, G_OPTION_ARG_STRING, &sandbox, "Least protection for programs: full (default), rlimit or none",
     "LEVEL"},
    {"workers", 0, 0, G_OPTION_ARG_INT, &workers, "Programs at a time (default: one a core)", "N"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Print the outcome as JSON", NULL},
    {"quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "No progress on stderr", NULL},
    G_OPTION_ENTRY_NULL,
};

static int run(int argc, char **argv);
const Command command_grade = {
    "grade", "[RUN]", "Grade stored generations again, or texts from elsewhere",
    "Without --input: grades what the newest run (or RUN) of the store lacks under this version's graders; earlier "
    "grades\n"
    "are kept. With --input: each row has id, response and either gold or problem (an id in the task's data or in\n"
    "--problems); each line printed has id, outcome, answer, rule, detail and, for programs, official and real.",
    run};

/* Grades every task of a stored run that its plan names. */
static gboolean grade_run(ResultsStore *opened, const char *name, const GradeProgramOptions *programs, guint *graded,
                          guint *ungraded, GError **error) {
  ResultsSummary *summary = results_summary(opened, name, error);
  if (!summary) return FALSE;
  Batch batch = {.store = opened};
  Verdicts verdicts;
  Progress progress;
  guint out = 1;
  g_autoptr(Plan) plan = plan_parse(summary->info.plan, summary->info.name, error);
  g_autoptr(GPtrArray) tasks = plan ? tasks_open(plan, 0, error) : NULL;
  gboolean ok = tasks != NULL, found = FALSE;
  verdicts_init(&verdicts, &batch, programs);
  progress_begin(&progress, quiet);
  progress.stage = "grading";
  for (guint i = 0; ok && i < tasks->len; i++) {
    if (task_wanted && !g_str_equal(task_wanted, task_name(tasks->pdata[i]))) continue;
    found = TRUE;
    ok = verdicts_pass(&verdicts, summary->run, tasks->pdata[i], 0, error);
  }
  if (ok && !found) {
    g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_MISSING, "run %s has no task %s", summary->info.name, task_wanted);
    ok = FALSE;
  }
  while (ok && out > 0) {
    ok = verdicts_take(&verdicts, &out, error);
    if (out > 0) g_usleep(2000);
  }
  ok = ok && batch_commit(&batch, TRUE, error) && runner_derive(opened, summary->run, plan, error);
  *graded = verdicts.graded;
  *ungraded = verdicts.ungraded;
  verdicts_clear(&verdicts);
  results_summary_free(summary);
  return ok;
}

static int grade_store(const char *name, const GradeProgramOptions *programs) {
  GError *error = NULL;
  guint graded = 0, ungraded = 0;
  ResultsStore *opened = results_open(store, RESULTS_WRITE, &error);
  gboolean ok = opened && grade_run(opened, name, programs, &graded, &ungraded, &error);
  results_close(opened);
  if (!ok) return command_fail(&command_grade, error);
  printf(json ? "{\"graded\": %u, \"ungraded\": %u}\n" : "%u threads graded, %u of them could not be\n", graded,
         ungraded);
  return ungraded ? EXIT_PARTIAL : EXIT_DONE;
}

static int run(int argc, char **argv) {
  GError *error = NULL;
  GradeProgramOptions programs = {.both = TRUE};
  if (!options_parse(&command_grade, entries, 0, 1, &argc, &argv)) return EXIT_USAGE;
  programs.workers = workers;
  if (!sandbox_parse(sandbox, &programs.sandbox, &error)) return command_fail(&command_grade, error);
  if (!input) return grade_store(argc > 1 ? argv[1] : NULL, &programs);
  if (!task_wanted) {
    fputs("hyperscale grade: --input needs --task\nTry 'hyperscale grade --help'.\n", stderr);
    return EXIT_USAGE;
  }
  ForeignOptions options = {.task = task_wanted, .problems = problems, .mode = mode, .programs = programs};
  guint ungraded = 0;
  if (!foreign_grade(input, &options, stdout, &ungraded, &error)) return command_fail(&command_grade, error);
  return ungraded ? EXIT_PARTIAL : EXIT_DONE;
}
