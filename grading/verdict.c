/* Outcomes, verdicts and what precedes every grading of text: cutting the thinking off. */
#include "grading/answer.h"

#include <string.h>

enum { EXCERPT_BYTES = 200 };

GQuark grade_error_quark(void) {
  return g_quark_from_static_string("hyperscale-grade-error");
}

static const char *const outcome_names[] = {
    [GRADE_CORRECT] = "correct",     [GRADE_WRONG] = "wrong",         [GRADE_NO_ANSWER] = "no_answer",
    [GRADE_TRUNCATED] = "truncated", [GRADE_OUTCOME_ERROR] = "error", [GRADE_UNGRADED] = "ungraded",
};

const char *grade_outcome_name(GradeOutcome outcome) {
  g_return_val_if_fail((guint)outcome < G_N_ELEMENTS(outcome_names), NULL);
  return outcome_names[outcome];
}

gboolean grade_outcome_parse(const char *name, GradeOutcome *outcome) {
  for (guint i = 0; i < G_N_ELEMENTS(outcome_names); i++)
    if (g_str_equal(name, outcome_names[i])) {
      *outcome = (GradeOutcome)i;
      return TRUE;
    }
  return FALSE;
}

void grade_verdict_clear(GradeVerdict *verdict) {
  g_free(verdict->answer);
  g_free(verdict->detail);
  *verdict = (GradeVerdict){.outcome = GRADE_UNGRADED, .official = GRADE_UNGRADED, .real = GRADE_UNGRADED};
}

static const char *find_last(const char *text, gsize length, const char *word) {
  gsize n = strlen(word);
  while (length >= n) {
    const char *hit = memrchr(text, word[0], length - n + 1);
    if (!hit || memcmp(hit, word, n) == 0) return hit;
    length = (gsize)(hit - text) + n - 1;
  }
  return NULL;
}

const char *grade_after_thinking(const char *text, gsize length, gsize *after_length, gboolean *closed) {
  const char *close = find_last(text, length, "</think>");
  const char *after = close ? close + strlen("</think>") : text;
  *after_length = length - (gsize)(after - text);
  if (closed) *closed = !memmem(after, *after_length, "<think>", strlen("<think>"));
  return after;
}

gboolean grade_begin(GradeVerdict *verdict, const char **text, gsize *length) {
  gboolean closed;
  *verdict = (GradeVerdict){.outcome = GRADE_NO_ANSWER, .official = GRADE_UNGRADED, .real = GRADE_UNGRADED};
  *text = grade_after_thinking(*text, *length, length, &closed);
  if (closed) return TRUE;
  verdict->outcome = GRADE_TRUNCATED;
  verdict->rule = "thinking";
  verdict->detail = g_strdup("thinking never closed");
  return FALSE;
}

char *grade_one_line(const char *text, gsize length) {
  g_autofree char *valid = g_utf8_make_valid(text, (gssize)MIN(length, EXCERPT_BYTES));
  GString *excerpt = g_string_new(NULL);
  for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    if (!g_unichar_iscntrl(c) || g_unichar_isspace(c))
      g_string_append_unichar(excerpt, g_unichar_iscntrl(c) ? ' ' : c);
    else
      g_string_append_printf(excerpt, "\\x%02x", c); /* nothing for a terminal to obey */
  }
  if (length > EXCERPT_BYTES) g_string_append(excerpt, "…");
  return g_string_free(excerpt, FALSE);
}
