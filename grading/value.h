/* What a functional problem returned against what was expected. Internal to grading/.
 *
 * The sandbox encodes a result as tagged bytes (encode() in grading/sandbox/runner.py); the expectation is JSON text as
 * Python's json module reads it. They are compared as Python's == would: 1 == 1.0 == True, a list is not a tuple, NaN
 * equals nothing. Since only plain data leaves the sandbox, no method of a program's has a say. */
#ifndef HYPERSCALE_GRADING_VALUE_H
#define HYPERSCALE_GRADING_VALUE_H

#include <glib.h>

G_BEGIN_DECLS

/* Whether the encoded result [length bytes] equals the JSON text. `*difference` (g_free()) says for people why not.
 * FALSE with GRADE_ERROR_INPUT when `expected` is no JSON. An encoding that is malformed or beyond the limits equals
 * nothing. */
gboolean grade_value_matches(const char *encoded, gsize length, const char *expected, gsize expected_length,
                             char **difference, GError **error);

G_END_DECLS

#endif
