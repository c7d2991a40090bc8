/* GPQA is published as a zip archive with a password, so that crawlers do not read it: libzip, in memory. */
#include "datasets/archive.h"

#include "datasets/dataset.h"

#include <string.h>
#include <zip.h>

gboolean archive_is_zip(const char *data, gsize length) {
  return length >= 4 && memcmp(data, "PK\3\4", 4) == 0;
}

static char *fail(GError **error, const char *name, const char *what, const char *reason) {
  g_set_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT, "%s: %s: %s", name, what, reason);
  return NULL;
}

/* The whole of an open entry, which says that it has `size` bytes. */
static char *read_entry(zip_file_t *file, gsize size, const char *name, const char *entry, GError **error) {
  g_autofree char *text = g_try_malloc(size + 1);
  if (!text) return fail(error, name, entry, "no memory");
  gsize done = 0;
  while (done <= size) { /* one byte more than it says, so that libzip comes to the end and checks the CRC */
    zip_int64_t n = zip_fread(file, text + done, size + 1 - done);
    if (n < 0) return fail(error, name, entry, zip_file_strerror(file));
    if (n == 0) break;
    done += (gsize)n;
  }
  if (done == size) return g_steal_pointer(&text);
  return fail(error, name, entry, "its size is not what the archive says");
}

char *archive_read(const char *data, gsize length, const char *name, const char *entry, const char *password, gsize max,
                   gsize *out_length, GError **error) {
  zip_error_t problem;
  zip_error_init(&problem);
  zip_source_t *source = zip_source_buffer_create(data, length, 0, &problem);
  zip_t *archive = source ? zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &problem) : NULL;
  char *text = NULL;
  if (!archive) {
    fail(error, name, "not a zip archive", zip_error_strerror(&problem));
    if (source) zip_source_free(source);
    zip_error_fini(&problem);
    return NULL;
  }
  const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  zip_stat_t status;
  zip_file_t *file = NULL;
  if (zip_stat(archive, entry, 0, &status) != 0 || (status.valid & needed) != needed)
    fail(error, name, entry, zip_strerror(archive));
  else if ((status.comp_method != ZIP_CM_STORE && status.comp_method != ZIP_CM_DEFLATE) ||
           (status.encryption_method != ZIP_EM_NONE && status.encryption_method != ZIP_EM_TRAD_PKWARE))
    fail(error, name, entry, "packed in another way than stored or deflated, plain or by ZipCrypto");
  else if (status.size > max)
    fail(error, name, entry, "it is larger than what is allowed");
  else if (!(file = zip_fopen_encrypted(archive, entry, 0, password)))
    fail(error, name, entry, zip_strerror(archive));
  else
    text = read_entry(file, (gsize)status.size, name, entry, error);
  if (text) *out_length = (gsize)status.size;
  if (file) zip_fclose(file);
  zip_discard(archive);
  zip_error_fini(&problem);
  return text;
}
