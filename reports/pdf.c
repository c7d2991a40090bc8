/* Runs rsvg-convert on a private folder. Its clock is stopped, so that the same SVG gives the same PDF. */
#include "reports/pdf.h"

#include <glib/gstdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports/report.h"

static gboolean convert(const char *from, const char *to, GError **error) {
  g_autofree char *program = g_find_program_in_path("rsvg-convert"), *complaint = NULL;
  if (!program) {
    g_set_error(error, REPORT_ERROR, REPORT_ERROR_FORMAT,
                "PDF needs the program rsvg-convert, which is not here: install librsvg2-bin, or write SVG and convert "
                "it elsewhere");
    return FALSE;
  }
  char *arguments[] = {program, (char *)"--format=pdf", (char *)"--output", (char *)to, (char *)from, NULL};
  g_auto(GStrv) environment = g_environ_setenv(g_get_environ(), "SOURCE_DATE_EPOCH", "0", TRUE);
  int status = 0;
  if (!g_spawn_sync(NULL, arguments, environment, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL, &complaint, &status,
                    error))
    return FALSE;
  if (status == 0) return TRUE;
  g_set_error(error, REPORT_ERROR, REPORT_ERROR_WRITE, "rsvg-convert failed: %s", g_strchomp(complaint));
  return FALSE;
}

gboolean report_pdf_from_svg(const char *svg, GString *out, GError **error) {
  g_autofree char *folder = g_dir_make_tmp("hyperscale-XXXXXX", error);
  if (!folder) return FALSE;
  g_autofree char *from = g_build_filename(folder, "plot.svg", NULL), *to = g_build_filename(folder, "plot.pdf", NULL),
                  *pdf = NULL;
  gsize length = 0;
  gboolean ok = g_file_set_contents(from, svg, -1, error) && convert(from, to, error) &&
                g_file_get_contents(to, &pdf, &length, error);
  if (ok) g_string_append_len(out, pdf, (gssize)length);
  g_unlink(from);
  g_unlink(to);
  g_rmdir(folder);
  return ok;
}
