/* One pass over a tokenizer.json. Of a syntax error only the fact is noted; the parser that builds trees is then asked
 * for its place and its kind. */
#include "engine/text/tables.h"

#include "engine/json.h"

#include <string.h>

typedef struct {
  const char *at, *end, *copied; /* what is before `copied` is in the tables' rest, or cut out */
  DmsTables *tables;
  const char *path;
  GError **error; /* set where it is JSON, but no tokenizer */
} Reader;

static void skip_blanks(Reader *reader) {
  const char *at = reader->at;
  while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  reader->at = at;
}

/* Steps over `c` and the blanks around it; FALSE where another character stands. */
static gboolean take(Reader *reader, char c) {
  skip_blanks(reader);
  if (reader->at == reader->end || *reader->at != c) return FALSE;
  reader->at++;
  skip_blanks(reader);
  return TRUE;
}

static gboolean stands(const Reader *reader, char c) {
  return reader->at < reader->end && *reader->at == c;
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static void skip_string(Reader *reader) {
  for (reader->at++; reader->at < reader->end && *reader->at != '"'; reader->at++)
    if (*reader->at == '\\' && reader->at + 1 < reader->end) reader->at++;
  if (reader->at < reader->end) reader->at++;
}

/* Any value: strings and brackets are balanced, nothing more is checked. */
static void skip_value(Reader *reader) {
  gsize depth = 0;
  while (reader->at < reader->end) {
    char c = *reader->at;
    if (!depth && (c == ',' || c == '}' || c == ']')) return;
    if (c == '"') {
      skip_string(reader);
    } else {
      depth += c == '{' || c == '[';
      depth -= c == '}' || c == ']';
      reader->at++;
    }
    if (!depth && (c == '"' || c == '}' || c == ']')) return;
  }
}

/* The string at `quote`, whose escapes jansson undoes. */
static gboolean take_escaped(Reader *reader, const char *quote, DmsSpelling *out) {
  reader->at = quote;
  skip_string(reader);
  json_t *string = json_loadb(quote, (gsize)(reader->at - quote), JSON_DECODE_ANY, NULL);
  gboolean ok = json_is_string(string);
  if (ok)
    *out = (DmsSpelling){g_string_chunk_insert_len(reader->tables->unescaped, json_string_value(string),
                                                   (gssize)json_string_length(string)),
                         json_string_length(string)};
  json_decref(string);
  return ok;
}

static gboolean take_string(Reader *reader, DmsSpelling *out) {
  const char *quote = reader->at, *at = quote + 1;
  if (!stands(reader, '"')) return FALSE;
  while (at < reader->end && (guchar)*at >= 0x20 && *at != '"' && *at != '\\') at++;
  if (at == reader->end || *at != '"') return take_escaped(reader, quote, out);
  *out = (DmsSpelling){quote + 1, (gsize)(at - quote - 1)};
  reader->at = at + 1;
  return TRUE;
}

/* ---- Entries ----------------------------------------------------------------------------------------------------- */

/* Refuses the value that begins at `value`, an entry `name` of `member`. */
static gboolean refuse(Reader *reader, const char *member, const char *name, const char *value, const char *allowed) {
  reader->at = value;
  skip_value(reader);
  const char *end = reader->at;
  while (end > value && g_ascii_isspace(end[-1])) end--;
  g_autofree char *found = dms_excerpt(value, (gsize)(end - value));
  g_set_error(reader->error, DMS_ERROR, DMS_ERROR_TOKENIZER, "%s: \"model.%s%s\" is %s; %s", reader->path, member, name,
              found, allowed);
  return FALSE;
}

static gboolean take_id(Reader *reader, gint32 *id) {
  const char *begin = reader->at;
  for (*id = 0; reader->at < reader->end && g_ascii_isdigit(*reader->at) && *id <= DMS_MAX_TOKEN_ID; reader->at++)
    *id = 10 * *id + (*reader->at - '0');
  gboolean zeros = reader->at - begin > 1 && *begin == '0';
  return reader->at > begin && !zeros && *id <= DMS_MAX_TOKEN_ID && reader->at < reader->end &&
         strchr(",} \n\r\t", *reader->at);
}

static gboolean take_vocab_entry(Reader *reader) {
  DmsVocabEntry entry;
  if (!take_string(reader, &entry.spelling) || !take(reader, ':')) return FALSE;
  const char *value = reader->at;
  if (!take_id(reader, &entry.id)) {
    g_autofree char *name = dms_excerpt(entry.spelling.text, entry.spelling.length);
    g_autofree char *allowed = g_strdup_printf("an id must be an integer from 0 to %d", DMS_MAX_TOKEN_ID);
    return refuse(reader, "vocab.", name, value, allowed);
  }
  g_array_append_val(reader->tables->vocab, entry);
  return TRUE;
}

/* The two parts of a merge: ["a", "b"], or as older files have it, "a b". */
static gboolean take_parts(Reader *reader, DmsMergeEntry *merge) {
  if (stands(reader, '['))
    return take(reader, '[') && take_string(reader, &merge->left) && take(reader, ',') &&
           take_string(reader, &merge->right) && take(reader, ']');
  DmsSpelling both;
  if (!take_string(reader, &both)) return FALSE;
  const char *end = both.text + both.length, *space = memchr(both.text, ' ', both.length);
  if (!space || memchr(space + 1, ' ', (gsize)(end - space - 1))) return FALSE;
  merge->left = (DmsSpelling){both.text, (gsize)(space - both.text)};
  merge->right = (DmsSpelling){space + 1, (gsize)(end - space - 1)};
  return TRUE;
}

static gboolean take_merge(Reader *reader) {
  DmsMergeEntry merge;
  const char *value = reader->at;
  guint count = reader->tables->merges->len;
  g_autofree char *name = NULL;
  if (count == DMS_MAX_TOKEN_ID) {
    name = g_strdup_printf("[%u]", count);
    return refuse(reader, "merges", name, value, "there must be fewer merges");
  }
  if (!take_parts(reader, &merge)) {
    name = g_strdup_printf("[%u]", count);
    return refuse(reader, "merges", name, value, "it must be two spellings, \"a b\" or [\"a\", \"b\"]");
  }
  g_array_append_val(reader->tables->merges, merge);
  return TRUE;
}

/* ---- Objects ----------------------------------------------------------------------------------------------------- */

/* The object or array that begins here, entry by entry. */
static gboolean take_all(Reader *reader, char open, char close, gboolean (*take_entry)(Reader *reader)) {
  if (!take(reader, open)) return FALSE;
  if (take(reader, close)) return TRUE;
  do {
    if (!take_entry(reader)) return FALSE;
  } while (take(reader, ','));
  return take(reader, close);
}

/* Reads the value that begins here into its table; `stub` takes its place. */
static gboolean cut(Reader *reader, GArray **table, guint entry_size, const char *stub,
                    gboolean (*take_entry)(Reader *reader)) {
  GString *rest = reader->tables->rest;
  g_string_append_len(rest, reader->copied, reader->at - reader->copied);
  g_string_append(rest, stub);
  *table = g_array_new(FALSE, FALSE, entry_size);
  gboolean ok = take_all(reader, stub[0], stub[1], take_entry);
  reader->copied = reader->at;
  return ok;
}

static gboolean is_key(DmsSpelling key, const char *name) {
  return key.length == strlen(name) && !memcmp(key.text, name, key.length);
}

static gboolean take_model_member(Reader *reader) {
  DmsTables *tables = reader->tables;
  DmsSpelling key;
  if (!take_string(reader, &key) || !take(reader, ':')) return FALSE;
  if (is_key(key, "vocab") && !tables->vocab && stands(reader, '{'))
    return cut(reader, &tables->vocab, sizeof(DmsVocabEntry), "{}", take_vocab_entry);
  if (is_key(key, "merges") && !tables->merges && stands(reader, '['))
    return cut(reader, &tables->merges, sizeof(DmsMergeEntry), "[]", take_merge);
  skip_value(reader);
  return TRUE;
}

static gboolean take_root_member(Reader *reader) {
  DmsSpelling key;
  if (!take_string(reader, &key) || !take(reader, ':')) return FALSE;
  if (is_key(key, "model") && stands(reader, '{')) return take_all(reader, '{', '}', take_model_member);
  skip_value(reader);
  return TRUE;
}

gboolean dms_tables_read(DmsTables *tables, const char *json, gsize length, const char *path, GError **error) {
  GError *wrong = NULL;
  Reader reader = {json, json + length, json, tables, path, &wrong};
  *tables = (DmsTables){.rest = g_string_new(NULL), .unescaped = g_string_chunk_new(4096)};
  if (take_all(&reader, '{', '}', take_root_member)) {
    g_string_append_len(tables->rest, reader.copied, reader.end - reader.copied);
    return TRUE;
  }
  if (!wrong) {
    json_t *tree = dms_json_parse(json, length, path, DMS_ERROR_TOKENIZER, &wrong);
    if (tree) g_set_error(&wrong, DMS_ERROR, DMS_ERROR_TOKENIZER, "%s: not the JSON of a tokenizer", path);
    json_decref(tree);
  }
  g_propagate_error(error, wrong);
  dms_tables_clear(tables);
  return FALSE;
}

void dms_tables_clear(DmsTables *tables) {
  if (tables->rest) g_string_free(tables->rest, TRUE);
  g_clear_pointer(&tables->vocab, g_array_unref);
  g_clear_pointer(&tables->merges, g_array_unref);
  g_clear_pointer(&tables->unescaped, g_string_chunk_free);
  *tables = (DmsTables){0};
}
