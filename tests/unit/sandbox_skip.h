/* When a test of programs may be skipped for want of a sandbox. */
#ifndef HYPERSCALE_TESTS_SANDBOX_SKIP_H
#define HYPERSCALE_TESTS_SANDBOX_SKIP_H

#include "grading/grade.h"

/* Skips for the reason that grade_programs_open() gave. Where unshare(1) makes the namespaces that the sandbox is made
 * of, the machine is not to blame: skipping would hide a sandbox that is broken. */
static inline void sandbox_skip(const GError *why) {
  static const char command[] =
      "unshare --user --map-root-user --mount --net --ipc --uts --pid --fork --mount-proc true";
  g_auto(GStrv) arguments = g_strsplit(command, " ", -1);
  int status;
  if (g_error_matches(why, GRADE_ERROR, GRADE_ERROR_SANDBOX) &&
      g_spawn_sync(NULL, arguments, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
                   &status, NULL) &&
      g_spawn_check_wait_status(status, NULL))
    g_error("namespaces can be made here, but: %s", why->message);
  g_test_skip(why->message);
}

#endif
