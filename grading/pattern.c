/* Regular expressions over hostile text: PCRE2 on bytes, compiled ahead of time, with a limit on backtracking. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "grading/answer.h"

enum { MATCH_LIMIT = 1000000, LAST_BYTES = 1 << 20 };

GradePattern *grade_pattern_new(const char *pattern) {
  int error;
  PCRE2_SIZE at;
  pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
  if (!code) g_error("a pattern of ours does not compile at %zu: %s", at, pattern);
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return (GradePattern *)code;
}

gboolean grade_pattern_find(const GradePattern *pattern, const char *text, gsize length, gboolean last, gsize *start,
                            gsize *end) {
  const pcre2_code *code = (const pcre2_code *)pattern;
  pcre2_match_data *match = pcre2_match_data_create_from_pattern(code, NULL);
  pcre2_match_context *limits = pcre2_match_context_create(NULL);
  pcre2_set_match_limit(limits, MATCH_LIMIT);
  PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(match);
  gboolean found = FALSE;
  for (gsize from = last && length > LAST_BYTES ? length - LAST_BYTES : 0;
       from <= length && pcre2_match(code, (PCRE2_SPTR)text, length, from, 0, match, limits) > 0;) {
    found = TRUE;
    *start = ovector[2];
    *end = ovector[3];
    if (!last) break;
    from = MAX(ovector[3], from + 1);
  }
  pcre2_match_context_free(limits);
  pcre2_match_data_free(match);
  return found;
}
