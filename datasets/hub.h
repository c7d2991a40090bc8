/* The Hugging Face hub as this project uses it: where its files are on this machine. */
#ifndef HYPERSCALE_DATASETS_HUB_H
#define HYPERSCALE_DATASETS_HUB_H

#include <glib.h>

/* The file, or for LiveCodeBench the folder, of a task that was fetched earlier. DATASET_ERROR_MISSING says how to
 * fetch it. */
char *hub_find_task(const char *task, GError **error);

#endif
