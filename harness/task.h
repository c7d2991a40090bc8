/* A task of a plan, opened: its data set and how its answers are graded and combined. */
#ifndef HYPERSCALE_TASK_H
#define HYPERSCALE_TASK_H

#include "datasets/dataset.h"
#include "grading/grade.h"
#include "harness/plan.h"

typedef struct {
  const PlanTask *plan;
  Dataset *dataset;
  GArray *selected; /* guint: the problems asked for, ascending */
  int max_length;   /* L, tokens */
  gint64 id;        /* in the store */
} Task;

/* Opens the tasks of a plan; with `limit` > 0 each keeps that many problems, a subset drawn by the plan's seed. What
 * is not on this machine is added to `missing` (char *) and left out of the result, or, where that is NULL, an error
 * like any other: `*error` names the task. Elements are Task *; free with g_ptr_array_unref(). */
GPtrArray *tasks_open(const Plan *plan, int limit, GPtrArray *missing, GError **error);
/* Whether `*why` is that something is not on this machine and there is a list of that: it is moved there. */
gboolean task_note_missing(GPtrArray *missing, GError **why);

const char *task_name(const Task *task);
const char *task_grader_version(const Task *task);
/* Whether the verdict that counts is that of a plain process with real stdin and stdout (programs, verdict: real). */
gboolean task_counts_real(const Task *task);
const char *task_aggregate(const Task *task); /* "maj" or "pass" */
/* Grades `text` by the task's rule; not for programs. */
void task_grade_text(const Task *task, guint index, const char *text, gsize length, GradeVerdict *verdict);

/* The verdict of a program that cannot be run, and why. Clear with grade_verdict_clear(). */
void task_ungraded(const char *rule, const GError *why, GradeVerdict *verdict);

#endif
