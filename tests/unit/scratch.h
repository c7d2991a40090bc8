/* A folder for the files of one test program, removed at its end. */
#ifndef HYPERSCALE_TESTS_SCRATCH_H
#define HYPERSCALE_TESTS_SCRATCH_H

#include <ftw.h>
#include <glib.h>
#include <glib/gstdio.h>

static char *scratch; /* the folder */

static inline void scratch_make(void) {
  scratch = g_dir_make_tmp("hyperscale-test-XXXXXX", NULL);
  g_assert_nonnull(scratch);
}

static inline int scratch_remove_entry(const char *path, const struct stat *status, int type, struct FTW *where) {
  return g_remove(path);
}

/* Removes a folder and all that is in it. */
static inline void scratch_remove_folder(const char *path) {
  nftw(path, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_remove(void) {
  scratch_remove_folder(scratch);
  g_clear_pointer(&scratch, g_free);
}

/* Writes scratch/`name`, folders included; the path, to be freed. */
static inline char *scratch_write(const char *name, const char *bytes, gsize length) {
  char *path = g_build_filename(scratch, name, NULL);
  g_autofree char *folder = g_path_get_dirname(path);
  g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
  g_assert_true(g_file_set_contents(path, bytes, (gssize)length, NULL));
  return path;
}

#endif
