/* Partial and incomplete runs in words. */
#include "reports/warnings.h"

#include <string.h>

const char report_no_points[] = "No graded threads yet.";

/* The fewest problems that a number of this task is the mean of. */
static int fewest_problems(const ResultsSummary *summary, const ResultsTaskInfo *task) {
  int fewest = task->problems;
  for (guint i = 0; i < summary->n_points; i++)
    if (strcmp(summary->point[i].task, task->name) == 0) fewest = MIN(fewest, summary->point[i].problems);
  return fewest;
}

GPtrArray *report_warnings(const ResultsSummary *summary) {
  GPtrArray *warnings = g_ptr_array_new_with_free_func(g_free);
  if (summary->info.partial)
    g_ptr_array_add(warnings, g_strdup("This is a partial run: it was limited to some of the problems. Its numbers are "
                                       "not those of the benchmark."));
  if (summary->info.devices && strchr(summary->info.devices, ','))
    g_ptr_array_add(warnings,
                    g_strdup_printf("Threads of this run are from several devices (%s): one device's arithmetic gives "
                                    "other tokens than another's, and times mix them.",
                                    summary->info.devices));
  for (guint i = 0; i < summary->n_tasks; i++) {
    const ResultsTaskInfo *task = &summary->task[i];
    if (task->threads_done < task->threads_wanted)
      g_ptr_array_add(
          warnings,
          g_strdup_printf("%s: %d of %d threads have run. Numbers will move until the run is complete: the first "
                          "to end are the short ones, whose costs are low and whose accuracy is not that "
                          "of all.",
                          task->name, task->threads_done, task->threads_wanted));
    if (task->threads_graded < task->threads_done)
      g_ptr_array_add(warnings,
                      g_strdup_printf("%s: %d of %d threads have no grade yet; they count as missing, not as wrong.",
                                      task->name, task->threads_done - task->threads_graded, task->threads_done));
    int fewest = fewest_problems(summary, task);
    if (fewest < task->problems)
      g_ptr_array_add(warnings, g_strdup_printf("%s: some numbers are means over only %d of its %d problems: those of "
                                                "which fewer than W threads have an outcome are left out, and such "
                                                "numbers do not compare with the others.",
                                                task->name, fewest, task->problems));
  }
  return warnings;
}

char *report_title(const ResultsSummary *summary) {
  const char *name = summary->info.name ? summary->info.name : "";
  if (summary->info.partial) return g_strconcat(name, " (partial run)", NULL);
  return summary->info.complete ? g_strdup(name) : g_strconcat(name, " (incomplete run)", NULL);
}
