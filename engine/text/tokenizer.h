/* What a tokenizer.json becomes. Internal to engine/text. */
#ifndef DMS_TOKENIZER_H
#define DMS_TOKENIZER_H

#include "engine/engine.h"
#include "engine/text/added.h"
#include "engine/text/bpe.h"
#include "engine/text/splitter.h"
#include "engine/text/vocabulary.h"

struct DmsTokenizer {
  DmsVocabulary *vocabulary;
  DmsMerges *merges;
  DmsSplitter *splitter;
  gboolean nfc;
  DmsAdded *raw;        /* added tokens that are found in the text as it is given */
  DmsAdded *normalized; /* those that are found after normalization */
};

/* Opens a tokenizer.json of any name; otherwise as dms_tokenizer_open(). */
DmsTokenizer *dms_tokenizer_open_file(const char *path, GError **error);
/* The same from memory: `json` [length bytes]; `path` is for messages. */
DmsTokenizer *dms_tokenizer_parse(const char *json, gsize length, const char *path, GError **error);

#endif
