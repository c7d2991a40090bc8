/* The fingerprint of a model folder: what changes it, what does not, and that a cache is no source of error. */
#include "engine/engine.h"
#include "tests/unit/scratch.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

#define POCKET "datasets/pocket/models/pocket-reasoner-dms-4x"

static const char *const pocket_files[] = {"config.json", "generation_config.json", "model.safetensors",
                                           "tokenizer.json", NULL};

static char *fingerprint_or_die(const char *dir) {
  g_autoptr(GError) error = NULL;
  char *hex = dms_model_fingerprint(dir, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(strlen(hex), ==, 64);
  return hex;
}

/* A copy of the pocket model in a new folder. */
static char *copy_pocket(void) {
  char *dir = g_dir_make_tmp("fingerprint-XXXXXX", NULL);
  for (int i = 0; pocket_files[i]; i++) {
    g_autofree char *from = g_build_filename(POCKET, pocket_files[i], NULL), *text = NULL;
    g_autofree char *to = g_build_filename(dir, pocket_files[i], NULL);
    gsize length;
    g_assert_true(g_file_get_contents(from, &text, &length, NULL));
    g_assert_true(g_file_set_contents(to, text, (gssize)length, NULL));
  }
  return dir;
}

/* The same as `sha256sum FILES | sha256sum`. */
static void test_definition(void) {
  g_autoptr(GString) lines = g_string_new(NULL);
  for (int i = 0; pocket_files[i]; i++) {
    g_autofree char *path = g_build_filename(POCKET, pocket_files[i], NULL), *text = NULL, *hex = NULL;
    gsize length;
    g_assert_true(g_file_get_contents(path, &text, &length, NULL));
    hex = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)text, length);
    g_string_append_printf(lines, "%s  %s\n", hex, pocket_files[i]);
  }
  g_autofree char *want = g_compute_checksum_for_string(G_CHECKSUM_SHA256, lines->str, -1);
  g_autofree char *got = fingerprint_or_die(POCKET);
  g_assert_cmpstr(got, ==, want);
}

static void test_content_counts(void) {
  g_autofree char *dir = copy_pocket(), *original = fingerprint_or_die(POCKET), *copy = fingerprint_or_die(dir);
  g_assert_cmpstr(copy, ==, original);
  g_autofree char *readme = g_build_filename(dir, "README.md", NULL);
  g_assert_true(g_file_set_contents(readme, "not part of it", -1, NULL));
  g_autofree char *same = fingerprint_or_die(dir);
  g_assert_cmpstr(same, ==, original);
  g_autofree char *weights = g_build_filename(dir, "model.safetensors", NULL);
  FILE *file = fopen(weights, "r+b");
  g_assert_nonnull(file);
  g_assert_cmpint(fseek(file, -1, SEEK_END), ==, 0);
  fputc(0x55, file);
  fclose(file);
  g_autofree char *changed = fingerprint_or_die(dir);
  g_assert_cmpstr(changed, !=, original);
  scratch_remove_folder(dir);
}

/* A link into a Hugging Face cache is believed by its name: the blob is not read, it need not even be there. */
static void test_blob_names(void) {
  g_autofree char *dir = copy_pocket(), *original = fingerprint_or_die(dir);
  g_autofree char *weights = g_build_filename(dir, "model.safetensors", NULL), *text = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(weights, &text, &length, NULL));
  g_autofree char *hex = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)text, length);
  g_autofree char *blobs = g_build_filename(dir, "blobs", NULL), *target = g_build_filename("blobs", hex, NULL);
  g_autofree char *blob = g_build_filename(dir, target, NULL);
  g_assert_cmpint(g_mkdir(blobs, 0700), ==, 0);
  g_assert_cmpint(g_rename(weights, blob), ==, 0);
  g_assert_cmpint(symlink(target, weights), ==, 0);
  g_autofree char *linked = fingerprint_or_die(dir);
  g_assert_cmpstr(linked, ==, original);
  g_autofree char *other_target = g_strdup(target), *other_blob = NULL;
  char *last = other_target + strlen(other_target) - 1;
  *last = *last == '0' ? '1' : '0';
  other_blob = g_build_filename(dir, other_target, NULL);
  g_assert_cmpint(g_rename(blob, other_blob), ==, 0);
  g_assert_cmpint(g_unlink(weights), ==, 0);
  g_assert_cmpint(symlink(other_target, weights), ==, 0);
  g_autofree char *renamed = fingerprint_or_die(dir);
  g_assert_cmpstr(renamed, !=, original);
  scratch_remove_folder(dir);
}

/* A file of settled times is remembered; one that changed since is not taken for the old one; rubbish in the cache
 * is ignored. */
static void test_cache(void) {
  g_autofree char *dir = copy_pocket(), *original = fingerprint_or_die(POCKET);
  g_autofree char *cache = g_build_filename(g_get_user_cache_dir(), "hyperscale", "sha256", NULL);
  if (g_file_test(cache, G_FILE_TEST_IS_DIR)) scratch_remove_folder(cache);
  g_usleep(2500000); /* the change time of the copy has to settle */
  g_autofree char *first = fingerprint_or_die(dir);
  g_assert_cmpstr(first, ==, original);
  GDir *entries = g_dir_open(cache, 0, NULL);
  g_assert_nonnull(entries);
  g_autofree char *name = g_strdup(g_dir_read_name(entries));
  g_assert_nonnull(name);
  g_assert_null(g_dir_read_name(entries)); /* the weights alone are large enough */
  g_dir_close(entries);
  g_autofree char *entry = g_build_filename(cache, name, NULL), *false_digest = g_strnfill(64, 'a');
  g_assert_true(g_file_set_contents(entry, false_digest, -1, NULL));
  g_autofree char *remembered = fingerprint_or_die(dir);
  g_assert_cmpstr(remembered, !=, original); /* so it was the cache that was asked */
  g_assert_true(g_file_set_contents(entry, "rubbish", -1, NULL));
  g_autofree char *again = fingerprint_or_die(dir);
  g_assert_cmpstr(again, ==, original);
  g_autofree char *weights = g_build_filename(dir, "model.safetensors", NULL);
  g_assert_cmpint(utime(weights, NULL), ==, 0);
  g_assert_true(g_file_set_contents(entry, false_digest, -1, NULL));
  g_autofree char *touched = fingerprint_or_die(dir);
  g_assert_cmpstr(touched, ==, original);
  scratch_remove_folder(dir);
}

static void test_missing(void) {
  g_autofree char *dir = copy_pocket(), *weights = g_build_filename(dir, "model.safetensors", NULL);
  g_autoptr(GError) error = NULL;
  g_assert_cmpint(g_unlink(weights), ==, 0);
  g_assert_null(dms_model_fingerprint(dir, &error));
  g_assert_error(error, DMS_ERROR, DMS_ERROR_MODEL);
  g_assert_nonnull(strstr(error->message, "model.safetensors"));
  scratch_remove_folder(dir);
}

int main(int argc, char **argv) {
  g_autofree char *cache = g_dir_make_tmp("cache-XXXXXX", NULL);
  g_setenv("XDG_CACHE_HOME", cache, TRUE);
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/fingerprint/definition", test_definition);
  g_test_add_func("/fingerprint/content-counts", test_content_counts);
  g_test_add_func("/fingerprint/blob-names", test_blob_names);
  g_test_add_func("/fingerprint/cache", test_cache);
  g_test_add_func("/fingerprint/missing", test_missing);
  int result = g_test_run();
  scratch_remove_folder(cache);
  return result;
}
