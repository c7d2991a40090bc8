/* How LiveCodeBench's runner compares (LiveCodeBench @ 28fef95, testing_util.py). Internal to grading/. */
#ifndef HYPERSCALE_GRADING_OFFICIAL_H
#define HYPERSCALE_GRADING_OFFICIAL_H

#include <glib.h>

G_BEGIN_DECLS

/* Whether what a program printed is what was expected: both stripped, then line by line, each stripped; a pair of lines
 * is equal as text, or when all words of both are decimal numbers of exactly equal values. `*difference`, for people,
 * names the first pair that is not (g_free()). Both are bytes, UTF-8 where they are text. */
gboolean grade_official_output_equal(const char *output, gsize output_length, const char *expected,
                                     gsize expected_length, char **difference);

G_END_DECLS

#endif
