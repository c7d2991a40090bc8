/* Where the files that ship with the program are: an installation, a tarball unpacked anywhere, or the source tree. */
#include "datasets/dataset.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* The folder of the running program. */
static char *program_folder(void) {
  char path[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return NULL;
  path[length] = '\0';
  return g_path_get_dirname(path);
}

/* `folder`/`under`/`relative` if it exists. */
static char *probe(const char *folder, const char *under, const char *relative) {
  g_autofree char *path = g_build_filename(folder, under, relative, NULL);
  return g_file_test(path, G_FILE_TEST_EXISTS) ? g_canonicalize_filename(path, NULL) : NULL;
}

char *dataset_shipped(const char *relative) {
  /* From build/ and from build/tests/, the source tree is one and two folders up. */
  static const char *const places[] = {"../share/hyperscale", "../datasets", "../harness", "../../datasets",
                                       "../../harness"};
  if (g_path_is_absolute(relative) || strstr(relative, "..")) return NULL;
  const char *data = g_getenv("HYPERSCALE_DATA");
  if (data && *data) {
    char *found = probe(data, "", relative);
    if (found) return found;
  }
  g_autofree char *folder = program_folder();
  for (gsize i = 0; folder && i < G_N_ELEMENTS(places); i++) {
    char *found = probe(folder, places[i], relative);
    if (found) return found;
  }
  return NULL;
}
