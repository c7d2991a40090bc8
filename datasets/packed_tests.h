/* LiveCodeBench's test cases: from the text of a row to DatasetTests. */
#ifndef HYPERSCALE_DATASETS_PACKED_TESTS_H
#define HYPERSCALE_DATASETS_PACKED_TESTS_H

#include "datasets/dataset.h"

/* The most that a packed set may unpack to: a real one has a few hundred megabytes at most, a zlib bomb has no
 * bound. */
#define PACKED_TESTS_MAX ((gsize)1 << 30)

/* Appends the tests in `text`, valid UTF-8, a JSON list of {"input", "output", "testtype"}, to `tests`. One element
 * at a time is parsed: a list can be over 100 MB. `functional` is what the row's metadata says, which is what the
 * official grader goes by, and not by `testtype`. */
gboolean tests_from_json(const char *text, gsize length, gboolean functional, GPtrArray *tests, GError **error);
/* The same for a `private_test_cases` field: JSON as above, or base64 of zlib of a pickled string of such JSON.
 * `text` is cut up. */
gboolean tests_from_packed(char *text, gsize length, gboolean functional, GPtrArray *tests, GError **error);
void dataset_test_free(DatasetTest *test);

/* zlib: inflates to at most `max` bytes; NULL and DATASET_ERROR_FORMAT when the stream is damaged, ends early, goes
 * on behind its end or unpacks to more. Free with g_free(). */
guchar *inflate_capped(const guchar *packed, gsize length, gsize max, gsize *out_length, GError **error);

#endif
