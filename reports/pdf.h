/* The SVG file as PDF, through rsvg-convert (Debian's librsvg2-bin). */
#ifndef HYPERSCALE_REPORTS_PDF_H
#define HYPERSCALE_REPORTS_PDF_H

#include <glib.h>

G_BEGIN_DECLS

/* Appends the PDF of `svg`. REPORT_ERROR_FORMAT when rsvg-convert is missing, REPORT_ERROR_WRITE when it fails. */
gboolean report_pdf_from_svg(const char *svg, GString *out, GError **error);

G_END_DECLS

#endif
