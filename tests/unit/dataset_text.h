/* Data sets from text that a test writes down. */
#ifndef HYPERSCALE_TESTS_DATASET_TEXT_H
#define HYPERSCALE_TESTS_DATASET_TEXT_H

#include "datasets/dataset.h"
#include "tests/unit/scratch.h"

#include <string.h>

static inline Dataset *open_text(const char *task, const char *name, const char *text, GError **error) {
  g_autofree char *path = scratch_write(name, text, strlen(text));
  DatasetOptions options = {.path = path};
  return dataset_open(task, &options, error);
}

/* The message says all of `words` (separated by |). */
static inline void assert_says(const GError *error, const char *words) {
  g_assert_nonnull(error);
  g_auto(GStrv) each = g_strsplit(words, "|", -1);
  for (char **word = each; *word; word++)
    if (!strstr(error->message, *word)) g_error("\"%s\" is not in: %s", *word, error->message);
}

/* The text is refused, with a message that says all of `words`. */
static inline void assert_text_refused(const char *task, const char *name, const char *text, const char *words) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Dataset) dataset = open_text(task, name, text, &error);
  g_assert_null(dataset);
  assert_says(error, words);
}

#endif
