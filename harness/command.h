/* The commands: one file each, behind one table in main.c. */
#ifndef HYPERSCALE_COMMAND_H
#define HYPERSCALE_COMMAND_H

#include <glib.h>

typedef enum {
  EXIT_DONE = 0,
  EXIT_INTERNAL = 1,  /* internal failure: a device, a full disk, a damaged store */
  EXIT_USAGE = 2,     /* usage or plan: nothing was begun */
  EXIT_PARTIAL = 3,   /* finished with some items failed or ungraded */
  EXIT_GATE = 4,      /* a `compare` gate failed */
  EXIT_RESUMABLE = 75 /* stopped early; run again to resume */
} ExitCode;

/* What --help says of a command beside its options. */
typedef struct {
  const char *name, *arguments, *summary, *description;
  int (*run)(int argc, char **argv); /* argv[0] is the command's name; an ExitCode */
} Command;

extern const Command command_bench, command_compare, command_export, command_fetch, command_forward, command_generate,
    command_grade, command_merge, command_report, command_run, command_status, command_tokenize;

/* Parses the options of `command` in place, leaving argv[0] and between `least` and `most` arguments (`most` < 0: any
 * number). Prints help and exits 0 where --help asks for it. FALSE after saying on stderr what is wrong: the caller
 * returns EXIT_USAGE. */
gboolean options_parse(const Command *command, const GOptionEntry *entries, int least, int most, int *argc,
                       char ***argv);

/* Prints "hyperscale COMMAND: message" on stderr, clears the error, returns the exit code that its domain stands
 * for. */
int command_fail(const Command *command, GError *error);

#endif
