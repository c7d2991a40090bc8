/* A store with bytes changed here and there: reading it ends in numbers or in an error.
 *
 * The input is a list of changes to a small, whole store, made at the start: four bytes of offset, one of value. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/results_synthetic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char *whole, *empty;
static gsize whole_size, empty_size;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  g_autoptr(GError) error = NULL;
  scratch_make();
  atexit(scratch_remove);
  g_autofree char *path = g_build_filename(scratch, "whole.db", NULL);
  Synthetic synthetic = synthetic_run(path, "run");
  gint64 task = synthetic_task(&synthetic, "aime24", "maj", 2, 2, 12);
  for (int m = 0; m < 2; m++) {
    gint64 method = synthetic_method(&synthetic, m ? "dms" : "vanilla", m ? 4 : 1);
    for (int i = 0; i < 4; i++)
      synthetic_keyed_thread(&synthetic, method, synthetic_problem(&synthetic, task, i / 2 ? "p1" : "p2"), i % 2, NULL,
                             6 + i + m, 12, i ? "correct" : "wrong", "7");
  }
  const int lengths[] = {8, 12}, threads[] = {1, 2};
  ResultsGrid grid = {.lengths = lengths, .n_lengths = 2, .threads = threads, .n_threads = 2, .bootstrap = 10};
  results_derive(synthetic.store, synthetic.run, &grid, &error);
  synthetic_check(&error);
  results_db_script(synthetic.store, "PRAGMA journal_mode = DELETE", &error);
  synthetic_check(&error);
  results_close(synthetic.store);
  g_autofree char *empty_path = g_build_filename(scratch, "empty.db", NULL);
  results_close(synthetic_open(empty_path, RESULTS_WRITE));
  if (!g_file_get_contents(path, &whole, &whole_size, &error) ||
      !g_file_get_contents(empty_path, &empty, &empty_size, &error))
    g_error("%s", error->message);
  return 0;
}

static gboolean count_thread(const ResultsThread *thread, gpointer user_data) {
  *(gsize *)user_data += strlen(thread->task) + thread->text_length;
  return TRUE;
}

static void read_store(ResultsStore *store) {
  ResultsText text;
  ResultsGrid grid = {.bootstrap = 3};
  ResultsSide dms = {store, NULL, "dms"}, vanilla = {store, NULL, "vanilla"};
  gsize bytes = 0;
  results_summary_free(results_summary(store, NULL, NULL));
  results_summary_free(results_surface(store, NULL, &grid, NULL));
  results_comparison_free(results_compare(&dms, &vanilla, &grid, TRUE, NULL));
  results_threads(store, 1, NULL, "grader-1", count_thread, &bytes, NULL);
  if (results_text(store, 1, "aime24", "p1", 0, &text, NULL)) results_text_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  g_autofree char *path = g_build_filename(scratch, "changed.db", NULL),
                  *other = g_build_filename(scratch, "other.db", NULL);
  g_autofree char *changed = g_memdup2(whole, whole_size);
  for (; size >= 5; data += 5, size -= 5) {
    uint32_t offset = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
    changed[offset % whole_size] = (char)data[4];
  }
  g_unlink(path); /* a new file is written without waiting for the disk */
  g_unlink(other);
  if (!g_file_set_contents(path, changed, (gssize)whole_size, NULL)) return 0;
  ResultsStore *store = results_open(path, RESULTS_READ, NULL);
  if (store) read_store(store);
  results_close(store);
  if (!g_file_set_contents(other, empty, (gssize)empty_size, NULL)) return 0;
  ResultsStore *into = synthetic_open(other, RESULTS_WRITE);
  ResultsMerged merged;
  results_merge(into, path, &merged, NULL);
  results_close(into);
  return 0;
}
