/* Byte pair encoding of one word. Internal to engine/text. */
#ifndef DMS_BPE_H
#define DMS_BPE_H

#include "engine/text/vocabulary.h"

#include <stdint.h>

typedef struct DmsMerges DmsMerges;

/* An empty table for `count` merges over `vocabulary`, which outlives it. `whole_words`: a word that is a token
 * needs no merges ("ignore_merges"). */
DmsMerges *dms_merges_new(const DmsVocabulary *vocabulary, int count, gboolean whole_words);
void dms_merges_free(DmsMerges *merges);
/* Adds the next merge, `left` and `right` into `merged`; the order of the calls is the rank. FALSE when the pair is
 * there already. */
gboolean dms_merges_add(DmsMerges *merges, int left, int right, int merged);

/* Memory that encoding long words needs; zeroed at first, kept from word to word by the caller. */
typedef struct {
  struct DmsPiece *piece;
  gsize pieces; /* allocated */
  GArray *heap; /* guint64 */
} DmsBpeScratch;
void dms_bpe_scratch_clear(DmsBpeScratch *scratch);

/* Appends the ids of `word` [length bytes, 1 .. 2^26] to `ids`: starting from single bytes, the adjacent pair of
 * lowest rank, the leftmost among equals, is merged until none is left. O(n log n). Thread-safe with a scratch of
 * one's own. FALSE, with the byte in `*missing`, when a byte has no token. */
gboolean dms_bpe_encode(DmsMerges *merges, const char *word, gsize length, DmsBpeScratch *scratch, GArray *ids,
                        guint8 *missing);

#endif
