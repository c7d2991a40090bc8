/* The Hugging Face cache on this machine. */
#include "datasets/hub.h"

#include "datasets/dataset.h"

#include <string.h>

char *hub_find_task(const char *task, GError **error) {
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_MISSING,
              "%s is not on this machine; run `hyperscale fetch %.*s`, or name the file that you have", task,
              (int)strcspn(task, ":"), task);
  return NULL;
}

char *dataset_model_dir(const char *name, GError **error) {
  if (g_file_test(name, G_FILE_TEST_IS_DIR)) return g_strdup(name);
  g_autofree char *shipped = g_build_filename("pocket", "models", name, NULL);
  char *found = g_str_has_prefix(name, "pocket-") && !strchr(name, '/') ? dataset_shipped(shipped) : NULL;
  if (!found)
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_MISSING,
                "model %s is not on this machine; run `hyperscale fetch %s`, or name the folder that holds it", name,
                name);
  return found;
}
