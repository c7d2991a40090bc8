/* hyperscale: accuracy against KV reads for reasoning models with a compressed KV cache. The commands' table. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "harness/command.h"
#include "harness/suggest.h"
#include "harness/version.h"

static const Command *const commands[] = {
    &command_run,   &command_status,   &command_report,   &command_compare, &command_export, &command_merge,
    &command_grade, &command_generate, &command_tokenize, &command_forward, &command_fetch,  &command_bench,
};

static void print_help(FILE *out) {
  fputs("Usage: hyperscale COMMAND [OPTION...] [ARGUMENT...]\n\n"
        "How much more accurate is a reasoning model at equal KV reads when its KV cache is compressed with DMS?\n\n",
        out);
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
    fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
  fputs("\n'hyperscale COMMAND --help' documents each. Exit codes: 0 done, 1 internal failure, 2 usage or plan,\n"
        "3 some items failed or ungraded, 4 a compare gate failed, 75 stopped early (run again to resume).\n",
        out);
}

static int unknown_command(const char *name) {
  const char *names[G_N_ELEMENTS(commands) + 1] = {NULL};
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) names[i] = commands[i]->name;
  g_autofree char *hint = suggest(name, names);
  fprintf(stderr, "hyperscale: no command \"%s\"%s\nTry 'hyperscale --help'.\n", name, hint);
  return EXIT_USAGE;
}

int main(int argc, char **argv) {
  setlocale(LC_ALL, "C.UTF-8");
  signal(SIGPIPE, SIG_DFL);
  if (argc < 2) return print_help(stderr), EXIT_USAGE;
  const char *name = argv[1];
  if (g_str_equal(name, "--version")) return printf("hyperscale %s\n", hyperscale_version), EXIT_DONE;
  if (g_str_equal(name, "help") || g_str_equal(name, "--help") || g_str_equal(name, "-h"))
    return print_help(stdout), EXIT_DONE;
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
    if (!g_str_equal(commands[i]->name, name)) continue;
    int code = commands[i]->run(argc - 1, argv + 1);
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    perror("hyperscale: stdout");
    return EXIT_INTERNAL;
  }
  return unknown_command(name);
}
