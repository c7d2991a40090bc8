/* Which LiveCodeBench problems a task name asks for. */
#ifndef HYPERSCALE_DATASETS_LIVECODEBENCH_H
#define HYPERSCALE_DATASETS_LIVECODEBENCH_H

#include <glib.h>

#define LIVECODEBENCH_FILES 6

/* Versions first .. last of 1 .. 6: version v is what file v adds (test.jsonl, test2.jsonl, ...). */
typedef struct {
  guint first, last;
  gboolean named;        /* the task names versions; else all */
  char from[11], to[11]; /* "2024-08-01"; empty: unbounded */
} LcbSelection;

/* Parses what follows "livecodebench" in a task name: [@release_vN|@release_latest|@vN|@vA_vB][:FROM..TO].
 * release_vN is versions 1 to N, vN is version N alone. Dates are YYYY-MM-DD; either may be left out.
 * DATASET_ERROR_NAME says what is wrong. */
gboolean lcb_selection_parse(const char *suffix, LcbSelection *selection, GError **error);

/* Whether `contest_date` ("2024-08-03T00:00:00") falls on a day of the window, both ends included. */
gboolean lcb_selection_has_date(const LcbSelection *selection, const char *contest_date);

/* "test.jsonl" for version 1, "test2.jsonl" for 2. */
const char *lcb_file_name(guint version);

#endif
