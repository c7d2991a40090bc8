/* Finds the last closed \boxed{} by matching braces from the end of the text. */
#include "grading/answer.h"

#include <string.h>

static gboolean escaped(const char *text, gsize at) {
  gsize backslashes = 0;
  while (backslashes < at && text[at - 1 - backslashes] == '\\') backslashes++;
  return backslashes % 2 == 1;
}

/* Whether the brace at `at` opens a box: \boxed{, \boxed {, \fbox{, \framebox{. Sets `*start` to its backslash. */
static gboolean opens_box(const char *text, gsize at, gsize *start) {
  while (at > 0 && g_ascii_isspace(text[at - 1])) at--;
  static const char *const commands[] = {"\\boxed", "\\fbox", "\\framebox"};
  for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
    gsize n = strlen(commands[i]);
    if (at >= n && memcmp(text + at - n, commands[i], n) == 0) {
      *start = at - n;
      return TRUE;
    }
  }
  return FALSE;
}

/* Where the brace that opens at `open` closes; the caller knows that it does. */
static gsize closing_brace(const char *text, gsize open) {
  gsize depth = 0;
  for (gsize i = open;; i++) {
    if (text[i] == '\\')
      i++;
    else if (text[i] == '{')
      depth++;
    else if (text[i] == '}' && --depth == 0)
      return i;
  }
}

static gboolean blank(const char *text, gsize length) {
  while (length > 0 && g_ascii_isspace(text[length - 1])) length--;
  return length == 0;
}

const char *grade_last_boxed(const char *text, gsize length, gsize *box_length, gsize *start) {
  gsize closing = 0; /* braces that close to the right and have not met the one that opens them */
  for (gsize i = length; i-- > 0;) {
    if ((text[i] != '{' && text[i] != '}') || escaped(text, i)) continue;
    if (text[i] == '}')
      closing++;
    else if (closing > 0) {
      gsize box;
      closing--;
      if (!opens_box(text, i, &box)) continue;
      gsize end = closing_brace(text, i);
      if (blank(text + i + 1, end - i - 1)) continue;
      *box_length = end - i - 1;
      if (start) *start = box;
      return text + i + 1;
    }
  }
  return NULL;
}
