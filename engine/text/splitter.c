/* Words by regular expression (PCRE2, JIT), and by hand where the pattern is one of the two that most models use and
 * the text is ASCII. */
#include "engine/text/splitter.h"

#include "engine/text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

const char dms_gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Qwen's pattern and Llama 3's differ in how many digits make a word. */
#define KNOWN_PATTERN(digits)                                                                                          \
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                                 \
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

struct DmsSplitter {
  pcre2_code *code;
  pcre2_match_context *limits;
  int digits; /* of a word in one of the known patterns; 0: another pattern */
};

static char *pcre2_message(int code) {
  char text[256];
  pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
  return g_strdup(text);
}

DmsSplitter *dms_splitter_new(const char *pattern, char **why) {
  g_autofree char *translated = dms_pattern_translate(pattern, why);
  if (!translated) return NULL;
  int code;
  PCRE2_SIZE place;
  guint32 empty = 0;
  pcre2_compile_context *context = pcre2_compile_context_create(NULL);
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  DmsSplitter *splitter = g_new0(DmsSplitter, 1);
  splitter->code =
      pcre2_compile((PCRE2_SPTR)translated, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &place, context);
  pcre2_compile_context_free(context);
  if (!splitter->code) {
    g_autofree char *message = pcre2_message(code);
    *why = g_strdup_printf("at byte %" G_GSIZE_FORMAT " of \"%s\": %s", (gsize)place, translated, message);
    dms_splitter_free(splitter);
    return NULL;
  }
  pcre2_pattern_info(splitter->code, PCRE2_INFO_MATCHEMPTY, &empty);
  if (empty) {
    *why = g_strdup("it matches the empty string");
    dms_splitter_free(splitter);
    return NULL;
  }
  pcre2_jit_compile(splitter->code, PCRE2_JIT_COMPLETE); /* without JIT the interpreter gives the same matches */
  splitter->limits = pcre2_match_context_create(NULL);
  pcre2_set_match_limit(splitter->limits, 100000000);
  pcre2_set_depth_limit(splitter->limits, 1000000);
  pcre2_set_heap_limit(splitter->limits, 1 << 18); /* KiB */
  if (g_str_equal(pattern, KNOWN_PATTERN("\\p{N}"))) splitter->digits = 1;
  if (g_str_equal(pattern, KNOWN_PATTERN("\\p{N}{1,3}"))) splitter->digits = 3;
  return splitter;
}

void dms_splitter_free(DmsSplitter *splitter) {
  if (!splitter) return;
  pcre2_code_free(splitter->code);
  pcre2_match_context_free(splitter->limits);
  g_free(splitter);
}

void dms_split_begin(DmsSplit *split, const DmsSplitter *splitter, const char *text, gsize length) {
  *split = (DmsSplit){.splitter = splitter, .text = text, .length = length};
}

void dms_split_end(DmsSplit *split) {
  g_clear_pointer(&split->match_data, pcre2_match_data_free);
}

/* ---- By regular expression --------------------------------------------------------------------------------------- */

/* Finds the next match from `at`; at the end of the text there is none, and match is the length. */
static gboolean find_match(DmsSplit *split, char **why) {
  const DmsSplitter *splitter = split->splitter;
  if (!split->match_data) split->match_data = pcre2_match_data_create_from_pattern(splitter->code, NULL);
  int found = pcre2_match(splitter->code, (PCRE2_SPTR)split->text, split->length, split->at, PCRE2_NO_UTF_CHECK,
                          split->match_data, splitter->limits);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT)
    found = pcre2_match(splitter->code, (PCRE2_SPTR)split->text, split->length, split->at,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, split->match_data, splitter->limits);
  if (found == PCRE2_ERROR_NOMATCH) {
    split->match = split->match_end = split->length;
    return TRUE;
  }
  if (found < 0) {
    g_autofree char *message = pcre2_message(found);
    *why = g_strdup_printf("the pre-tokenizer's pattern at byte %" G_GSIZE_FORMAT ": %s", split->at, message);
    return FALSE;
  }
  PCRE2_SIZE *range = pcre2_get_ovector_pointer(split->match_data);
  split->match = range[0];
  split->match_end = range[1];
  return TRUE;
}

/* ---- By hand: the known patterns over ASCII ---------------------------------------------------------------------- */

typedef enum { OTHER, SPACE, NEWLINE, LETTER, DIGIT, BEYOND } Class;

static const guint8 class_of[256] = {
    ['\t'] = SPACE, ['\n'] = NEWLINE,      ['\v'] = SPACE,         ['\f'] = SPACE,         ['\r'] = NEWLINE,
    [' '] = SPACE,  ['0' ... '9'] = DIGIT, ['A' ... 'Z'] = LETTER, ['a' ... 'z'] = LETTER, [128 ... 255] = BEYOND,
};

/* The class of the character at `c`; the end of the text is like nothing else. */
static inline Class class_at(const guint8 *c, const guint8 *end) {
  return c < end ? (Class)class_of[*c] : (Class)-1;
}

/* The length of 's 't 're 've 'm 'll 'd in any case at `c`, which is an apostrophe; 0 when it is none of them. */
static int contraction(const guint8 *c, const guint8 *end) {
  int first = c + 1 < end ? c[1] | 0x20 : 0, second = c + 2 < end ? c[2] | 0x20 : 0;
  if (class_at(c + 1, end) != LETTER) return 0;
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (class_at(c + 2, end) != LETTER) return 0;
  return ((first == 'r' || first == 'v') && second == 'e') || (first == 'l' && second == 'l') ? 3 : 0;
}

/* The end of the word at `begin` < `end`, or NULL where a character beyond ASCII has a say in it. The alternatives
 * of KNOWN_PATTERN in order. */
static const guint8 *scan_ascii(const guint8 *begin, const guint8 *end, int digits) {
  const guint8 *c = begin;
  Class first = class_at(c, end), second = class_at(c + 1, end);
  if (first == BEYOND || second == BEYOND) return NULL;
  if (*c == '\'') {
    int length = contraction(c, end);
    if (length) return c + length;
  }
  if (first == LETTER || (second == LETTER && (first == OTHER || first == SPACE))) {
    for (c++; class_at(c, end) == LETTER;) c++;
    return class_at(c, end) == BEYOND ? NULL : c;
  }
  if (first == DIGIT) {
    for (c++; class_at(c, end) == DIGIT && c - begin < digits;) c++;
    return class_at(c, end) == BEYOND ? NULL : c;
  }
  if (first == OTHER || (*c == ' ' && second == OTHER)) {
    for (c++; class_at(c, end) == OTHER;) c++;
    if (class_at(c, end) == BEYOND) return NULL;
    while (class_at(c, end) == NEWLINE) c++;
    return c;
  }
  const guint8 *newline = NULL; /* after the last one in this run of blanks */
  for (; class_at(c, end) == SPACE || class_at(c, end) == NEWLINE; c++)
    if (class_at(c, end) == NEWLINE) newline = c + 1;
  if (class_at(c, end) == BEYOND) return NULL;
  if (newline) return newline;
  return c == end || c == begin + 1 ? c : c - 1; /* the last blank goes with the word that follows */
}

gssize dms_split_next(DmsSplit *split, char **why) {
  if (split->at == split->length) return 0;
  gsize at = split->at;
  if (split->match_end > at) {
    split->at = split->match > at ? split->match : split->match_end;
    return (gssize)(split->at - at);
  }
  if (split->splitter->digits && !split->by_regex_alone) {
    const guint8 *text = (const guint8 *)split->text;
    const guint8 *end = scan_ascii(text + at, text + split->length, split->splitter->digits);
    if (end) {
      split->at = (gsize)(end - text);
      return (gssize)(split->at - at);
    }
  }
  if (!find_match(split, why)) return -1;
  split->at = split->match > at ? split->match : split->match_end;
  return (gssize)(split->at - at);
}
