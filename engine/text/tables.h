/* The two large members of a tokenizer.json, "vocab" and "merges" of "model": read in one pass over its text, without a
 * tree of 450,000 values, and cut out of what is left for a parser that builds one. Internal to engine/text. */
#ifndef DMS_TABLES_H
#define DMS_TABLES_H

#include "engine/engine.h"

enum { DMS_MAX_TOKEN_ID = (1 << 22) - 1 };

/* A string of the file, escapes undone: without NULs, not terminated, and whether it is UTF-8 is not checked yet. */
typedef struct {
  const char *text;
  gsize length;
} DmsSpelling;

typedef struct {
  DmsSpelling spelling;
  gint32 id; /* 0 .. DMS_MAX_TOKEN_ID */
} DmsVocabEntry;

typedef struct {
  DmsSpelling left, right;
} DmsMergeEntry;

typedef struct {
  GArray *vocab;           /* DmsVocabEntry, in the file's order; NULL where model.vocab is no object */
  GArray *merges;          /* DmsMergeEntry, at most DMS_MAX_TOKEN_ID; NULL where model.merges is no array */
  GString *rest;           /* the file with {} and [] in their places */
  GStringChunk *unescaped; /* strings that had escapes; the others point into the file */
} DmsTables;

/* Reads `json` [length bytes], which outlives the tables. FALSE with an error that names `path` and the entry where
 * one is no token or no merge, or the line where it is no JSON. Whether `rest` is JSON, or the same key is there
 * twice, its parser finds out; whether a spelling is there twice, the vocabulary. */
gboolean dms_tables_read(DmsTables *tables, const char *json, gsize length, const char *path, GError **error);
void dms_tables_clear(DmsTables *tables);

#endif
