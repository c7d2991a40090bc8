/* hyperscale: accuracy against KV reads for reasoning models with a compressed KV cache. The commands' table. */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/suggest.h"
#include "harness/version.h"

static const Command *const commands[] = {
    &command_run,   &command_status,   &command_report,   &command_compare, &command_export, &command_merge,
    &command_grade, &command_generate, &command_tokenize, &command_forward, &command_fetch,  &command_bench,
};

static void print_help(FILE *out) {
  fputs("Usage: hyperscale COMMAND [OPTION...] [ARGUMENT...]\n\n"
        "How much more accurate is a reasoning model at equal KV reads when its KV cache\n"
        "is compressed with DMS?\n\n",
        out);
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
    fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
  fputs("\n'hyperscale COMMAND --help' documents each. Exit codes: 0 done,\n"
        "1 internal failure, 2 usage or plan, 3 some items failed or ungraded,\n"
        "4 a compare gate failed, 75 stopped early (run again to resume).\n",
        out);
}

static int unknown_command(const char *name) {
  const char *names[G_N_ELEMENTS(commands) + 1] = {NULL};
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) names[i] = commands[i]->name;
  g_autofree char *hint = suggest(name, names);
  fprintf(stderr, "hyperscale: no command \"%s\"%s\nTry 'hyperscale --help'.\n", name, hint);
  return EXIT_USAGE;
}

/* A closed standard descriptor would be given to the next file that is opened, and messages be written into a store. */
static void keep_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) _exit(EXIT_INTERNAL);
}

/* However the program ends: what could not be written to stdout is a failure. */
static void check_stdout(void) {
  if (fflush(stdout) == 0 && !ferror(stdout)) return;
  fputs("hyperscale: what was printed could not be written to stdout: it is closed, or its disk is full\n", stderr);
  _exit(EXIT_INTERNAL);
}

static const Command *find_command(const char *name) {
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
    if (g_str_equal(commands[i]->name, name)) return commands[i];
  return NULL;
}

int main(int argc, char **argv) {
  keep_descriptors();
  atexit(check_stdout);
  setlocale(LC_ALL, "C.UTF-8");
  signal(SIGPIPE, SIG_DFL);
  if (argc < 2) return print_help(stderr), EXIT_USAGE;
  const char *name = argv[1];
  gboolean help = g_str_equal(name, "help") || g_str_equal(name, "--help") || g_str_equal(name, "-h");
  if (g_str_equal(name, "--version")) return printf("hyperscale %s\n", hyperscale_version), EXIT_DONE;
  if (help && argc == 2) return print_help(stdout), EXIT_DONE;
  const Command *command = find_command(argv[1 + help]);
  if (!command) return unknown_command(argv[1 + help]);
  if (help) return command->run(2, (char *[]){argv[2], "--help", NULL});
  return command->run(argc - 1, argv + 1);
}
