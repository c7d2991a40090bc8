/* What the graders of answers in text share: finding a boxed answer, reading integers, and verdicts whose strings
 * are safe to store. */
#ifndef HYPERSCALE_GRADING_ANSWER_H
#define HYPERSCALE_GRADING_ANSWER_H

#include "grading/grade.h"

G_BEGIN_DECLS

/* What the last closed \boxed{} (or \fbox{}) of `text` [length bytes] holds: points into `text`, sets `*box_length`,
 * NULL when no box that is not empty closes. An escaped brace (\{) is none. `*start` (may be NULL) is the offset of
 * the box's backslash. Reads backwards and stops at the box: a long text costs no more than its tail. */
const char *grade_last_boxed(const char *text, gsize length, gsize *box_length, gsize *start);

/* `text` [length bytes] on one line, for people and for the store: valid UTF-8, shortened to about 200 bytes, control
 * characters written out but for white space, which is blanks. g_free(). */
char *grade_one_line(const char *text, gsize length);

/* A compiled PCRE2 pattern with one capturing group that takes part in every match. Patterns are ours and are kept
 * for ever: a pattern that does not compile ends the program. May be shared between threads. */
typedef struct GradePattern GradePattern;
GradePattern *grade_pattern_new(const char *pattern);

/* Where group 1 of the first or the last match lies in `text` [length bytes]; the last one is looked for in the last
 * mebibyte, which bounds what a hostile text can cost. FALSE when there is no match, or when looking for it takes
 * more backtracking than is allowed. */
gboolean grade_pattern_find(const GradePattern *pattern, const char *text, gsize length, gboolean last, gsize *start,
                            gsize *end);

/* Begins a verdict on `*text` [*length bytes] and moves both to the part after the thinking. FALSE, and
 * GRADE_TRUNCATED in the verdict, when the thinking never closed. */
gboolean grade_begin(GradeVerdict *verdict, const char **text, gsize *length);

G_END_DECLS

#endif
