/* Any bytes as the JSONL file of a task; the first one says of which. Tests of programs are unpacked as well. */
#include "datasets/dataset.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const tasks[] = {"aime24", "math500", "livecodebench", "livecodebench:2024-01-01..2025-01-31"};
  if (size == 0) return 0;
  const char *task = tasks[data[0] % G_N_ELEMENTS(tasks)];
  int fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (write(fd, data + 1, size - 1) != (ssize_t)(size - 1)) g_error("memfd");
  g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
  g_autoptr(GError) error = NULL;
  DatasetOptions options = {.path = path};
  g_autoptr(Dataset) dataset = dataset_open(task, &options, &error);
  g_assert(dataset ? !error : error && error->domain == DATASET_ERROR);
  for (guint i = 0; dataset && i < dataset_size(dataset); i++) {
    g_auto(DatasetPrompt) prompt;
    g_assert(dataset_prompt(dataset, i, NULL, &prompt, NULL));
    g_assert(dataset_find(dataset, dataset_problem(dataset, i)->id) == (int)i);
    if (dataset_kind(dataset) != DATASET_CODE) continue;
    g_autoptr(GError) failure = NULL;
    g_autoptr(GPtrArray) tests = dataset_tests(dataset, i, &failure);
    g_assert(tests ? tests->len > 0 : failure && failure->domain == DATASET_ERROR);
  }
  close(fd);
  return 0;
}
