/* Option parsing by GOption, with help that fits the terminal and a suggestion for what is misspelt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/dataset.h"
#include "engine/engine.h"
#include "grading/grade.h"
#include "harness/command.h"
#include "harness/plan.h"
#include "harness/suggest.h"
#include "harness/terminal.h"
#include "reports/report.h"
#include "results/results.h"

enum { MAX_WIDTH = 100 /* columns: longer lines are hard to read */ };

/* The option meant where GOption did not know one: its message is then "Unknown option --NAME". */
static char *suggest_option(const GError *error, const GOptionEntry *entries) {
  const char *found = strstr(error->message, " --");
  if (!found || error->code != G_OPTION_ERROR_UNKNOWN_OPTION) return g_strdup("");
  g_autofree char *name = g_strndup(found + 3, strcspn(found + 3, "=\""));
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (const GOptionEntry *entry = entries; entry->long_name; entry++) g_ptr_array_add(names, (char *)entry->long_name);
  g_ptr_array_add(names, NULL);
  g_autofree char *hint = suggest(name, (const char *const *)names->pdata);
  const char *known = strrchr(hint, ' ');
  return known ? g_strdup_printf("; did you mean --%s", known + 1) : g_strdup("");
}

/* GOption leaves "--" in where what follows looks like an option. */
static void drop_separator(int *argc, char **argv) {
  int at = 1;
  while (at < *argc && !g_str_equal(argv[at], "--")) at++;
  if (at == *argc) return;
  for (--*argc; at < *argc; at++) argv[at] = argv[at + 1];
  argv[*argc] = NULL;
}

/* A line of help, broken where the terminal is narrower: what goes on stands under the text of the option. */
static void print_line(const char *line, long width) {
  const char *lead = line + strspn(line, " "), *gap = strstr(lead, "  ");
  long indent = (gap ? gap + strspn(gap, " ") : lead) - line, column = indent;
  g_auto(GStrv) words = g_strsplit(line + indent, " ", -1);
  fwrite(line, 1, (gsize)indent, stdout);
  for (char **word = words; *word; word++) {
    long length = g_utf8_strlen(*word, -1);
    if (word != words && column + 1 + length > width) {
      printf("\n%*s", (int)indent, "");
      column = indent;
    } else if (word != words) {
      putchar(' ');
      column++;
    }
    fputs(*word, stdout);
    column += length;
  }
  putchar('\n');
}

/* GOption prints nothing but its help. */
static void print_help(const char *text) {
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line && (line[1] || **line); line++) print_line(*line, MIN(terminal_width(), MAX_WIDTH));
}

gboolean options_parse(const Command *command, const GOptionEntry *entries, int least, int most, int *argc,
                       char ***argv) {
  g_autoptr(GOptionContext) context = g_option_context_new(command->arguments);
  g_autoptr(GError) error = NULL;
  g_autofree char *program = g_strdup_printf("hyperscale %s", command->name);
  g_set_prgname(program);
  g_option_context_set_summary(context, command->summary);
  g_option_context_set_description(context, command->description);
  g_option_context_add_main_entries(context, entries, NULL);
  g_set_print_handler(print_help);
  if (!g_option_context_parse(context, argc, argv, &error)) {
    g_autofree char *hint = suggest_option(error, entries);
    fprintf(stderr, "%s: %s%s\n", program, error->message, hint);
  } else {
    drop_separator(argc, *argv);
    if (*argc - 1 >= least && (most < 0 || *argc - 1 <= most)) return TRUE;
    fprintf(stderr, "%s: %d argument%s; usage: %s [OPTION...] %s\n", program, *argc - 1, *argc == 2 ? "" : "s", program,
            command->arguments ? command->arguments : "");
  }
  fprintf(stderr, "Try '%s --help'.\n", program);
  return FALSE;
}

int command_fail(const Command *command, GError *error) {
  gboolean usage = error->domain == PLAN_ERROR || error->domain == G_OPTION_ERROR || error->domain == G_FILE_ERROR ||
                   (error->domain == RESULTS_ERROR && error->code != RESULTS_ERROR_CORRUPT) ||
                   (error->domain == DATASET_ERROR && error->code != DATASET_ERROR_NETWORK) ||
                   (error->domain == DMS_ERROR && error->code != DMS_ERROR_DEVICE && error->code != DMS_ERROR_NUMERIC);
  usage = usage || g_error_matches(error, GRADE_ERROR, GRADE_ERROR_INPUT) ||
          g_error_matches(error, REPORT_ERROR, REPORT_ERROR_FORMAT);
  gboolean resumable = g_error_matches(error, RESULTS_ERROR, RESULTS_ERROR_WRITE);
  fprintf(stderr, "hyperscale %s: %s\n", command->name, error->message);
  g_error_free(error);
  return resumable ? EXIT_RESUMABLE : usage ? EXIT_USAGE : EXIT_INTERNAL;
}
