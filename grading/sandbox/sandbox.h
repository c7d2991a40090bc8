/* The parts of the sandbox library, which python3 loads in the launcher (see protocol.h for who is who). Plain C and
 * system calls: no library but libc. A function that can fail returns NULL, or the name of the part that failed, with
 * errno set. */
#ifndef HYPERSCALE_SANDBOX_H
#define HYPERSCALE_SANDBOX_H

#include "grading/sandbox/protocol.h"
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct {
  SandboxSetup setup;
  struct sock_filter filter[SANDBOX_FILTER_MAX / sizeof(struct sock_filter)];
  const char *paths; /* what Python reads its modules and libraries from: pairs "real path\0path\0", "" ends them */
  int proc;          /* the host's /proc, for the launcher and the guards alone */
} Sandbox;

/* ---- enclose.c: what can be seen -------------------------------------------------------------------------------- */

/* Gives up root for good, if it has it, and puts the launcher into its own namespaces with a read-only root of
 * `sandbox->paths`. */
const char *enclose_launcher(Sandbox *sandbox);
/* Forks a process: process 1 of fresh namespaces at SANDBOX_FULL. Returns as fork() does. */
pid_t enclose_fork(const Sandbox *sandbox);
/* In that process: its user ids, host name and a /tmp of its own. Closes sandbox->proc. */
const char *enclose_guard(Sandbox *sandbox);

/* ---- confine.c: what can be done -------------------------------------------------------------------------------- */

/* For the guard and all that it forks: no privileges, no new ones, no files but those of the root and /tmp. */
const char *confine_guard(const Sandbox *sandbox);
/* For the program: resource limits and the system call filter. */
const char *confine_program(const Sandbox *sandbox);

/* ---- guard.c ---------------------------------------------------------------------------------------------------- */

/* Serves steps from the grader's socket and ends the process with it. Returns only in a program's process, whose
 * channel is SANDBOX_CHANNEL_FD. */
void guard_serve(const Sandbox *sandbox, int grader);

/* ---- launch.c: called from runner.py ---------------------------------------------------------------------------- */

/* Prepares the launcher and then forks a guard for each program asked for. Returns only in a program's process. */
void sandbox_serve(const char *paths);

/* Whole messages over a stream; false on an error and at the end of the stream. */
bool read_all(int fd, void *data, size_t length);
bool write_all(int fd, const void *data, size_t length);

#endif
