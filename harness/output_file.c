/* Files that appear whole or not at all. */
#include "harness/output_file.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <unistd.h>

static gboolean refuse(const char *path, int why, GError **error) {
  g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(why), "%s: cannot be written: %s", path, g_strerror(why));
  return FALSE;
}

gboolean output_open(OutputFile *output, const char *path, GError **error) {
  GStatBuf there;
  gboolean in_place = g_lstat(path, &there) == 0 && !S_ISREG(there.st_mode);
  *output = (OutputFile){.path = g_strdup(path)};
  if (!in_place) output->temporary = g_strdup_printf("%s.%d.part", path, (int)g_random_int_range(1, G_MAXINT));
  if ((output->file = fopen(in_place ? path : output->temporary, "wb"))) return TRUE;
  int why = errno;
  g_clear_pointer(&output->temporary, g_free);
  g_clear_pointer(&output->path, g_free);
  return refuse(path, why, error);
}

void output_put(OutputFile *output, const void *data, gsize length) {
  if (!output->failed && fwrite(data, 1, length, output->file) != length) output->failed = errno;
}

gboolean output_close(OutputFile *output, GError **error) {
  int why = output->failed;
  /* Before the name: after a crash it must not stand for a file that is still empty. */
  if (output->temporary && !why && (fflush(output->file) != 0 || fsync(fileno(output->file)) != 0)) why = errno;
  if (fclose(output->file) != 0 && !why) why = errno;
  if (output->temporary && !why && g_rename(output->temporary, output->path) != 0) why = errno;
  if (output->temporary && why) g_unlink(output->temporary);
  gboolean ok = !why || refuse(output->path, why, error);
  g_free(output->temporary);
  g_free(output->path);
  *output = (OutputFile){0};
  return ok;
}

gboolean output_write(const char *path, const char *data, gsize length, GError **error) {
  OutputFile output;
  if (!output_open(&output, path, error)) return FALSE;
  output_put(&output, data, length);
  return output_close(&output, error);
}
