/* Signals that ask a run to end early. */
#include "harness/stop.h"

#include <signal.h>

static volatile sig_atomic_t requested;

static void on_signal(int number) {
  requested = 1;
}

void stop_on_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
}

gboolean stop_requested(void) {
  return requested;
}
