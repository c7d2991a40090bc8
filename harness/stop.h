/* Stopping early: the first SIGINT, SIGTERM or SIGUSR1 asks for a clean end (commit, exit 75), the second quits at
 * once. */
#ifndef HYPERSCALE_STOP_H
#define HYPERSCALE_STOP_H

#include <glib.h>

void stop_on_signals(void);
gboolean stop_requested(void);

#endif
