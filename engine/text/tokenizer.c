/* Encoding and decoding: added tokens are cut out first, then the text is normalized, split into words, and the
 * words encoded. */
#include "engine/text/tokenizer.h"

#include "engine/text/nfc.h"

#include <string.h>

enum { LONGEST_TEXT = 1 << 26 }; /* bytes; one word of that length takes 2 GB of scratch */

/* One call of dms_tokenizer_encode(). */
typedef struct {
  const DmsTokenizer *tokenizer;
  DmsEncode mode;
  GArray *ids;
  DmsBpeScratch scratch;
  GError **error;
} Encoding;

/* Text without added tokens, normalized: words, then their pieces. */
static gboolean encode_words(Encoding *encoding, const char *text, gsize length) {
  const DmsTokenizer *tokenizer = encoding->tokenizer;
  g_autofree char *why = NULL;
  guint8 missing;
  gssize n;
  DmsSplit split;
  dms_split_begin(&split, tokenizer->splitter, text, length);
  for (const char *word = text; (n = dms_split_next(&split, &why)) > 0; word += n) {
    if (dms_bpe_encode(tokenizer->merges, word, (gsize)n, &encoding->scratch, encoding->ids, &missing)) continue;
    why = g_strdup_printf("the vocabulary has no token for byte 0x%02x", missing);
    break;
  }
  dms_split_end(&split);
  if (!why) return TRUE;
  g_set_error(encoding->error, DMS_ERROR, DMS_ERROR_TOKENIZER, "cannot encode the text: %s", why);
  return FALSE;
}

typedef gboolean (*EncodeFunc)(Encoding *encoding, const char *text, gsize length);

/* Cuts the tokens of `added` out of the text and encodes what lies between by `encode`. */
static gboolean encode_between(Encoding *encoding, const DmsAdded *added, const char *text, gsize length,
                               EncodeFunc encode) {
  gsize from = 0, place, match;
  int id;
  while (encoding->mode == DMS_ENCODE_SPECIAL && dms_added_search(added, text, length, from, &place, &match, &id)) {
    int32_t token = id;
    if (!encode(encoding, text + from, place - from)) return FALSE;
    g_array_append_val(encoding->ids, token);
    from = place + match;
  }
  return encode(encoding, text + from, length - from);
}

static gboolean encode_normalized(Encoding *encoding, const char *text, gsize length) {
  const DmsTokenizer *tokenizer = encoding->tokenizer;
  gsize normal_length = length;
  g_autofree char *normal = tokenizer->nfc ? dms_nfc(text, length, &normal_length) : NULL;
  return encode_between(encoding, tokenizer->normalized, normal ? normal : text, normal_length, encode_words);
}

/* Whether text[0..length) is valid UTF-8, NUL bytes allowed; else the place of the first bad byte. */
static gboolean check_utf8(const char *text, gsize length, gsize *place) {
  const char *end = text + length, *bad = text;
  while (!g_utf8_validate_len(bad, (gsize)(end - bad), &bad)) {
    if (*bad) {
      *place = (gsize)(bad - text);
      return FALSE;
    }
    bad++;
  }
  return TRUE;
}

gboolean dms_tokenizer_encode(const DmsTokenizer *tokenizer, const char *text, gssize length, DmsEncode mode,
                              GArray *ids, GError **error) {
  gsize bytes = length < 0 ? strlen(text) : (gsize)length, place;
  if (bytes > LONGEST_TEXT) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER,
                "cannot encode a text of %" G_GSIZE_FORMAT " bytes; at most %d are encoded at once", bytes,
                LONGEST_TEXT);
    return FALSE;
  }
  if (!check_utf8(text, bytes, &place)) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER,
                "cannot encode the text: byte %" G_GSIZE_FORMAT ", 0x%02x, is not valid UTF-8", place,
                (guchar)text[place]);
    return FALSE;
  }
  Encoding encoding = {.tokenizer = tokenizer, .mode = mode, .ids = ids, .error = error};
  guint before = ids->len;
  gboolean ok = encode_between(&encoding, tokenizer->raw, text, bytes, encode_normalized);
  dms_bpe_scratch_clear(&encoding.scratch);
  if (!ok) g_array_set_size(ids, before);
  return ok;
}

int dms_tokenizer_size(const DmsTokenizer *tokenizer) {
  return tokenizer->vocabulary->size;
}

int32_t dms_tokenizer_token_id(const DmsTokenizer *tokenizer, const char *content) {
  int id = dms_added_find(tokenizer->raw, content);
  if (id < 0) id = dms_added_find(tokenizer->normalized, content);
  return id < 0 ? dms_vocabulary_find(tokenizer->vocabulary, content, strlen(content)) : id;
}

/* The length of the valid character at `c`, or minus the length of the broken one: as far as it could be the
 * beginning of a valid one, at least 1, which is what Unicode recommends to replace by one U+FFFD (and Rust's
 * standard library does). */
static int character_length(const guint8 *c, gsize left) {
  int length = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;
  if (length == 0) return -1;
  guint8 low = c[0] == 0xe0 ? 0xa0 : c[0] == 0xf0 ? 0x90 : 0x80; /* allowed values of the second byte */
  guint8 high = c[0] == 0xed ? 0x9f : c[0] == 0xf4 ? 0x8f : 0xbf;
  for (int i = 1; i < length; i++, low = 0x80, high = 0xbf)
    if ((gsize)i >= left || c[i] < low || c[i] > high) return -i;
  return length;
}

static char *valid_utf8(const guint8 *bytes, gsize length, gsize *out_length) {
  GString *out = g_string_sized_new(length);
  for (gsize at = 0; at < length;) {
    int n = character_length(bytes + at, length - at);
    if (n > 0)
      g_string_append_len(out, (const char *)bytes + at, n);
    else
      g_string_append_unichar(out, 0xfffd);
    at += (gsize)ABS(n);
  }
  if (out_length) *out_length = out->len;
  return g_string_free(out, FALSE);
}

char *dms_tokenizer_decode(const DmsTokenizer *tokenizer, const int32_t *ids, gsize n, DmsDecode mode, gsize *length) {
  const DmsVocabulary *vocabulary = tokenizer->vocabulary;
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  for (gsize i = 0; i < n; i++) {
    if (ids[i] < 0 || ids[i] >= vocabulary->size) continue;
    const DmsToken *token = &vocabulary->token[ids[i]];
    if (mode == DMS_DECODE_SKIP_SPECIAL && token->flags & DMS_TOKEN_SPECIAL) continue;
    g_byte_array_append(bytes, (const guint8 *)dms_token_bytes(vocabulary, ids[i]), token->length);
  }
  return valid_utf8(bytes->data, bytes->len, length);
}
