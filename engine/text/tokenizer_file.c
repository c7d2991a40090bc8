/* tokenizer.json: byte-level BPE, checked. What is not implemented is refused by the name of its field; nothing is
 * approximated.
 *
 * "post_processor" is not obeyed but for its name: it only adds tokens such as BOS around a text, and the engine
 * adds none: prompts spell out their control tokens (dms_chat_encode()). */
#include "engine/json.h"
#include "engine/text/alphabet.h"
#include "engine/text/nfc.h"
#include "engine/text/tokenizer.h"

#include <string.h>

enum {
  MAX_FILE = 1 << 28, /* bytes */
  MAX_ID = (1 << 22) - 1,
};

/* The object `key` of `parent`, or FALSE with an error when it is none. `where` is filled for messages. */
static gboolean enter(const DmsJson *parent, const char *key, DmsJson *child, char **where, GError **error) {
  json_t *object = json_object_get(parent->object, key);
  if (!json_is_object(object)) return dms_json_refuse(parent, key, error, "it must be an object");
  *where = g_strdup_printf("%s%s.", parent->where, key);
  *child = (DmsJson){.file = parent->file, .where = *where, .object = object, .code = parent->code};
  return TRUE;
}

/* FALSE with an error unless the member is absent, null, false or "". */
static gboolean expect_off(const DmsJson *json, const char *key, GError **error) {
  json_t *value = json_object_get(json->object, key);
  if (!value || json_is_null(value) || json_is_false(value) || (json_is_string(value) && !json_string_length(value)))
    return TRUE;
  return dms_json_refuse(json, key, error, "only null, false or \"\" is implemented");
}

static const char *type_of(json_t *object) {
  const char *type = json_string_value(json_object_get(object, "type"));
  return type ? type : "";
}

/* ---- Vocabulary and merges --------------------------------------------------------------------------------------- */

static gboolean is_id(json_t *value) {
  return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= MAX_ID;
}

/* The highest id of the vocabulary and of the added tokens, every id checked; -1 with an error. */
static int highest_id(const DmsJson *vocab, json_t *added, const DmsJson *root, GError **error) {
  int highest = -1;
  const char *spelling;
  json_t *value;
  gsize i;
  json_object_foreach(vocab->object, spelling, value) {
    if (!is_id(value)) {
      dms_json_refuse(vocab, spelling, error, "an id must be an integer from 0 to %d", MAX_ID);
      return -1;
    }
    highest = MAX(highest, (int)json_integer_value(value));
  }
  json_array_foreach(added, i, value) {
    json_t *id = json_object_get(value, "id");
    if (!is_id(id)) {
      dms_json_refuse(root, "added_tokens", error, "entry %" G_GSIZE_FORMAT ": \"id\" must be an integer from 0 to %d",
                      i, MAX_ID);
      return -1;
    }
    highest = MAX(highest, (int)json_integer_value(id));
  }
  if (highest < 0) g_set_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER, "%s: \"%s\" is empty", vocab->file, vocab->where);
  return highest;
}

static gboolean read_vocabulary(const DmsJson *vocab, DmsVocabulary *vocabulary, GError **error) {
  const char *spelling;
  json_t *value;
  json_object_foreach(vocab->object, spelling, value) {
    if (dms_vocabulary_add(vocabulary, (int)json_integer_value(value), spelling, strlen(spelling), TRUE)) continue;
    return dms_json_refuse(vocab, spelling, error, "that id is another token's, or the token is longer than %d bytes",
                           DMS_MAX_TOKEN_BYTES);
  }
  return TRUE;
}

/* The two parts of a merge: "a b", or ["a", "b"]. */
static gboolean split_merge(json_t *merge, const char *part[2], gsize length[2]) {
  if (json_is_array(merge) && json_array_size(merge) == 2) {
    for (gsize i = 0; i < 2; i++) {
      json_t *entry = json_array_get(merge, i);
      if (!json_is_string(entry)) return FALSE;
      part[i] = json_string_value(entry);
      length[i] = json_string_length(entry);
    }
    return TRUE;
  }
  const char *text = json_string_value(merge), *space = text ? strchr(text, ' ') : NULL;
  if (!space || strchr(space + 1, ' ')) return FALSE;
  part[0] = text;
  part[1] = space + 1;
  length[0] = (gsize)(space - text);
  length[1] = strlen(part[1]);
  return TRUE;
}

/* Adds one merge; what is wrong with it, or NULL. `bytes` is scratch. */
static const char *add_merge(json_t *merge, DmsTokenizer *tokenizer, GByteArray *bytes) {
  const DmsVocabulary *vocabulary = tokenizer->vocabulary;
  const char *part[2];
  gsize length[2];
  if (!split_merge(merge, part, length)) return "must be two spellings, \"a b\" or [\"a\", \"b\"]";
  g_byte_array_set_size(bytes, 0);
  gboolean spelled = dms_alphabet_decode(part[0], length[0], bytes);
  guint middle = bytes->len;
  spelled &= dms_alphabet_decode(part[1], length[1], bytes);
  const char *text = (const char *)bytes->data;
  int left = spelled ? dms_vocabulary_find(vocabulary, text, middle) : -1;
  int right = spelled ? dms_vocabulary_find(vocabulary, text + middle, bytes->len - middle) : -1;
  int merged = spelled ? dms_vocabulary_find(vocabulary, text, bytes->len) : -1;
  if (left < 0 || right < 0 || merged < 0) return "has a part or a result that is not in the vocabulary";
  return dms_merges_add(tokenizer->merges, left, right, merged) ? NULL : "is there twice";
}

static gboolean read_merges(const DmsJson *model, json_t *list, DmsTokenizer *tokenizer, GError **error) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  gsize i;
  json_t *merge;
  json_array_foreach(list, i, merge) {
    const char *fault = add_merge(merge, tokenizer, bytes);
    if (!fault) continue;
    g_autofree char *text = dms_json_excerpt(merge);
    g_set_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER, "%s: \"%smerges[%" G_GSIZE_FORMAT "]\", %s, %s", model->file,
                model->where, i, text, fault);
    return FALSE;
  }
  return TRUE;
}

static gboolean read_model(const DmsJson *root, DmsTokenizer *tokenizer, GError **error) {
  static const char *const off[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"};
  g_autofree char *where = NULL, *vocab_where = NULL;
  DmsJson model, vocab;
  gboolean whole_words = FALSE;
  if (!enter(root, "model", &model, &where, error)) return FALSE;
  if (!g_str_equal(type_of(model.object), "BPE"))
    return dms_json_refuse(&model, "type", error, "the engine implements \"BPE\"");
  for (gsize i = 0; i < G_N_ELEMENTS(off); i++)
    if (!expect_off(&model, off[i], error)) return FALSE;
  json_t *merges = json_object_get(model.object, "merges"), *added = json_object_get(root->object, "added_tokens");
  if (!json_is_array(merges) || json_array_size(merges) > MAX_ID)
    return dms_json_refuse(&model, "merges", error, "it must be an array of at most %d merges", MAX_ID);
  if (!dms_json_boolean(&model, "ignore_merges", FALSE, &whole_words, error) ||
      !enter(&model, "vocab", &vocab, &vocab_where, error))
    return FALSE;
  int highest = highest_id(&vocab, added, root, error);
  if (highest < 0) return FALSE;
  tokenizer->vocabulary = dms_vocabulary_new(highest + 1);
  tokenizer->merges = dms_merges_new(tokenizer->vocabulary, (int)json_array_size(merges), whole_words);
  if (!read_vocabulary(&vocab, tokenizer->vocabulary, error)) return FALSE;
  for (int byte = 0; byte < 256 && dms_json_has(&model, "unk_token"); byte++)
    if (tokenizer->vocabulary->byte_id[byte] < 0)
      return dms_json_refuse(&model, "unk_token", error,
                             "the vocabulary lacks byte %d: unknown tokens are not implemented", byte);
  return read_merges(&model, merges, tokenizer, error);
}

/* ---- Added tokens ------------------------------------------------------------------------------------------------ */

/* Whether `id` can stand for `content`: the vocabulary says so already, or it has neither. */
static gboolean claim_id(DmsVocabulary *vocabulary, int id, const char *content) {
  const DmsToken *token = &vocabulary->token[id];
  gsize length = strlen(content);
  int known = dms_vocabulary_find_spelling(vocabulary, content, length);
  if (known >= 0) return known == id;
  if (!token->flags) return dms_vocabulary_add(vocabulary, id, content, length, FALSE);
  return token->length == length && !memcmp(dms_token_bytes(vocabulary, id), content, length);
}

static gboolean read_added_token(const DmsJson *json, DmsTokenizer *tokenizer, GError **error) {
  static const char *const off[] = {"single_word", "lstrip", "rstrip"};
  DmsVocabulary *vocabulary = tokenizer->vocabulary;
  const char *content;
  gboolean special = FALSE, normalized = FALSE;
  int id = (int)json_integer_value(json_object_get(json->object, "id"));
  if (!dms_json_string(json, "content", TRUE, &content, error) ||
      !dms_json_boolean(json, "special", FALSE, &special, error) ||
      !dms_json_boolean(json, "normalized", FALSE, &normalized, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS(off); i++)
    if (!expect_off(json, off[i], error)) return FALSE;
  gsize length = strlen(content);
  if (!length || length > DMS_MAX_ADDED_BYTES)
    return dms_json_refuse(json, "content", error, "it must have from 1 to %d bytes", DMS_MAX_ADDED_BYTES);
  if (!claim_id(vocabulary, id, content))
    return dms_json_refuse(json, "id", error, "the vocabulary has another token there, or \"%s\" elsewhere", content);
  if (special) vocabulary->token[id].flags |= DMS_TOKEN_SPECIAL;
  gsize composed_length;
  g_autofree char *composed = normalized && tokenizer->nfc ? dms_nfc(content, length, &composed_length) : NULL;
  if (dms_added_find(tokenizer->raw, content) >= 0 ||
      !dms_added_add(normalized ? tokenizer->normalized : tokenizer->raw, composed ? composed : content, id))
    return dms_json_refuse(json, "content", error, "it is there twice");
  return TRUE;
}

static gboolean read_added(const DmsJson *root, DmsTokenizer *tokenizer, GError **error) {
  json_t *list = json_object_get(root->object, "added_tokens"), *entry;
  gsize i;
  tokenizer->raw = dms_added_new();
  tokenizer->normalized = dms_added_new();
  if (!dms_json_has(root, "added_tokens")) return TRUE;
  if (!json_is_array(list)) return dms_json_refuse(root, "added_tokens", error, "it must be an array");
  json_array_foreach(list, i, entry) {
    g_autofree char *where = g_strdup_printf("added_tokens[%" G_GSIZE_FORMAT "].", i);
    DmsJson json = {.file = root->file, .where = where, .object = entry, .code = DMS_ERROR_TOKENIZER};
    if (!read_added_token(&json, tokenizer, error)) return FALSE;
  }
  return TRUE;
}

/* ---- Normalizer, pre-tokenizer, decoder -------------------------------------------------------------------------- */

static gboolean read_normalizer(const DmsJson *root, DmsTokenizer *tokenizer, GError **error) {
  json_t *normalizer = json_object_get(root->object, "normalizer"), *part;
  if (!dms_json_has(root, "normalizer")) return TRUE;
  if (g_str_equal(type_of(normalizer), "NFC")) {
    tokenizer->nfc = TRUE;
    return TRUE;
  }
  json_t *parts = json_object_get(normalizer, "normalizers");
  gsize i, known = 0;
  if (g_str_equal(type_of(normalizer), "Sequence") && json_is_array(parts)) {
    json_array_foreach(parts, i, part) known += g_str_equal(type_of(part), "NFC");
    if (known == json_array_size(parts)) {
      tokenizer->nfc = known > 0;
      return TRUE;
    }
  }
  return dms_json_refuse(root, "normalizer", error, "the engine implements null, \"NFC\" and a Sequence of it");
}

static gboolean compile_pattern(const DmsJson *json, const char *key, const char *pattern, DmsTokenizer *tokenizer,
                                GError **error) {
  g_autofree char *why = NULL;
  tokenizer->splitter = dms_splitter_new(pattern, &why);
  return tokenizer->splitter ? TRUE : dms_json_refuse(json, key, error, "%s", why);
}

static gboolean read_split(const DmsJson *json, DmsTokenizer *tokenizer, GError **error) {
  json_t *pattern = json_object_get(json->object, "pattern");
  const char *regex = json_string_value(json_object_get(pattern, "Regex"));
  const char *behavior = json_string_value(json_object_get(json->object, "behavior"));
  if (!regex || json_object_size(pattern) != 1)
    return dms_json_refuse(json, "pattern", error, "the engine implements {\"Regex\": ...}");
  if (!behavior || !g_str_equal(behavior, "Isolated"))
    return dms_json_refuse(json, "behavior", error, "the engine implements \"Isolated\"");
  return expect_off(json, "invert", error) && compile_pattern(json, "pattern", regex, tokenizer, error);
}

/* `by_regex`: whether this ByteLevel has to split by itself. */
static gboolean check_byte_level(const DmsJson *json, gboolean by_regex, GError **error) {
  gboolean use_regex = TRUE, prefix = TRUE; /* what the format means where they are absent */
  if (!g_str_equal(type_of(json->object), "ByteLevel"))
    return dms_json_refuse(json, "type", error, "the engine implements \"ByteLevel\" here");
  if (!dms_json_boolean(json, "use_regex", FALSE, &use_regex, error) ||
      !dms_json_boolean(json, "add_prefix_space", FALSE, &prefix, error))
    return FALSE;
  if (prefix) return dms_json_refuse(json, "add_prefix_space", error, "the engine implements false");
  if (use_regex != by_regex)
    return dms_json_refuse(json, "use_regex", error, "the engine implements %s here: one pattern splits the text",
                           by_regex ? "true" : "false");
  return TRUE;
}

static gboolean read_pre_tokenizer(const DmsJson *root, DmsTokenizer *tokenizer, GError **error) {
  g_autofree char *where = NULL;
  DmsJson json;
  if (!enter(root, "pre_tokenizer", &json, &where, error)) return FALSE;
  if (!g_str_equal(type_of(json.object), "Sequence"))
    return check_byte_level(&json, TRUE, error) && compile_pattern(&json, "type", dms_gpt2_pattern, tokenizer, error);
  json_t *parts = json_object_get(json.object, "pretokenizers"), *first = json_array_get(parts, 0);
  if (json_array_size(parts) != 2 || !g_str_equal(type_of(first), "Split"))
    return dms_json_refuse(&json, "pretokenizers", error, "the engine implements a Split followed by a ByteLevel");
  DmsJson split = {.file = root->file, .where = "pre_tokenizer.pretokenizers[0].", .object = first, .code = root->code};
  DmsJson bytes = {.file = root->file,
                   .where = "pre_tokenizer.pretokenizers[1].",
                   .object = json_array_get(parts, 1),
                   .code = root->code};
  return read_split(&split, tokenizer, error) && check_byte_level(&bytes, FALSE, error);
}

static gboolean is_known_processor(json_t *processor) {
  const char *type = type_of(processor);
  return !processor || json_is_null(processor) || g_str_equal(type, "ByteLevel") ||
         g_str_equal(type, "TemplateProcessing");
}

static gboolean check_post_processor(const DmsJson *root, GError **error) {
  json_t *processor = json_object_get(root->object, "post_processor"), *part;
  gsize i, known = 0;
  if (is_known_processor(processor)) return TRUE;
  json_t *parts = json_object_get(processor, "processors");
  json_array_foreach(parts, i, part) known += is_known_processor(part);
  if (g_str_equal(type_of(processor), "Sequence") && json_is_array(parts) && known == json_array_size(parts))
    return TRUE;
  return dms_json_refuse(root, "post_processor", error,
                         "the engine knows ByteLevel, TemplateProcessing and a Sequence of them");
}

static gboolean check_decoder(const DmsJson *root, GError **error) {
  if (g_str_equal(type_of(json_object_get(root->object, "decoder")), "ByteLevel")) return TRUE;
  return dms_json_refuse(root, "decoder", error, "the engine implements {\"type\": \"ByteLevel\", ...}");
}

static gboolean read_root(json_t *object, const char *path, DmsTokenizer *tokenizer, GError **error) {
  DmsJson root = {.file = path, .where = "", .object = object, .code = DMS_ERROR_TOKENIZER};
  return expect_off(&root, "truncation", error) && expect_off(&root, "padding", error) &&
         read_normalizer(&root, tokenizer, error) && read_pre_tokenizer(&root, tokenizer, error) &&
         check_post_processor(&root, error) && check_decoder(&root, error) && read_model(&root, tokenizer, error) &&
         read_added(&root, tokenizer, error);
}

static DmsTokenizer *from_json(json_t *object, const char *path, GError **error) {
  if (!object) return NULL;
  DmsTokenizer *tokenizer = g_new0(DmsTokenizer, 1);
  gboolean ok = read_root(object, path, tokenizer, error);
  json_decref(object);
  if (ok) return tokenizer;
  dms_tokenizer_free(tokenizer);
  return NULL;
}

DmsTokenizer *dms_tokenizer_parse(const char *json, gsize length, const char *path, GError **error) {
  return from_json(dms_json_parse(json, length, path, DMS_ERROR_TOKENIZER, error), path, error);
}

DmsTokenizer *dms_tokenizer_open_file(const char *path, GError **error) {
  return from_json(dms_json_read(path, MAX_FILE, DMS_ERROR_TOKENIZER, error), path, error);
}

DmsTokenizer *dms_tokenizer_open(const char *model_dir, GError **error) {
  g_autofree char *path = g_build_filename(model_dir, "tokenizer.json", NULL);
  return dms_tokenizer_open_file(path, error);
}

void dms_tokenizer_free(DmsTokenizer *tokenizer) {
  if (!tokenizer) return;
  dms_merges_free(tokenizer->merges);
  dms_vocabulary_free(tokenizer->vocabulary);
  dms_splitter_free(tokenizer->splitter);
  dms_added_free(tokenizer->raw);
  dms_added_free(tokenizer->normalized);
  g_free(tokenizer);
}
