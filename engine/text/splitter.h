/* The pre-tokenizer: cuts text into the words that byte pair encoding then works on. Internal to engine/text. */
#ifndef DMS_SPLITTER_H
#define DMS_SPLITTER_H

#include <glib.h>

typedef struct DmsSplitter DmsSplitter;

/* GPT-2's pattern, which a ByteLevel pre-tokenizer with use_regex stands for. */
extern const char dms_gpt2_pattern[];

/* Compiles `pattern`, in the syntax of Hugging Face tokenizers (pattern.h). NULL with a message in `*why`, to be
 * freed with g_free(), when it is malformed, uses what is not implemented or matches the empty string. Immutable:
 * may be shared between threads. */
DmsSplitter *dms_splitter_new(const char *pattern, char **why);
void dms_splitter_free(DmsSplitter *splitter);

/* One pass over one text by one thread. */
typedef struct {
  const DmsSplitter *splitter;
  const char *text;
  gsize length;
  gsize at;                /* the next word begins here */
  gsize match, match_end;  /* a match already found beyond `at` */
  gboolean by_regex_alone; /* no short cut for the known patterns: for tests that compare the two */
  struct pcre2_real_match_data_8 *match_data;
} DmsSplit;

/* Starts over `text` [length bytes of valid UTF-8, kept by the caller]. */
void dms_split_begin(DmsSplit *split, const DmsSplitter *splitter, const char *text, gsize length);
/* The length of the next word, which begins where the last one ended: matches and what lies between them are words.
 * 0 at the end; -1 with a message in `*why` when the regular expression gives up. */
gssize dms_split_next(DmsSplit *split, char **why);
void dms_split_end(DmsSplit *split);

#endif
