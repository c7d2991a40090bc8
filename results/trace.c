/* zlib over little-endian ids, and over zigzag varints of the differences between steps: a vanilla cache grows by a
 * constant, a DMS cache by a few items more or less, so a step costs a few bits. */
#include "results/trace.h"

#include <limits.h>
#include <string.h>

#include <zlib.h>

#include "results/results.h"

#define VARINT_BYTES 10 /* of 64 bits, at most */

static GBytes *deflate_all(const guint8 *data, gsize size) {
  uLongf packed_size = compressBound(size);
  guint8 *packed = g_malloc(packed_size);
  int status = compress2(packed, &packed_size, data, size, Z_DEFAULT_COMPRESSION);
  g_assert(status == Z_OK);
  return g_bytes_new_take(g_realloc(packed, packed_size), packed_size);
}

GBytes *results_tokens_encode(const int32_t *tokens, int n) {
  g_autofree gint32 *little = g_new(gint32, (gsize)n + 1);
  for (int i = 0; i < n; i++) little[i] = GINT32_TO_LE(tokens[i]);
  return deflate_all((const guint8 *)little, (gsize)n * sizeof *little);
}

GBytes *results_live_encode(const uint64_t *live, int n) {
  g_autofree guint8 *bytes = g_malloc((gsize)n * VARINT_BYTES + 1);
  gsize size = 0;
  uint64_t before = 0;
  for (int i = 0; i < n; i++) {
    int64_t difference = (int64_t)(live[i] - before);
    uint64_t zigzag = ((uint64_t)difference << 1) ^ (uint64_t)(difference >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7) bytes[size++] = (guint8)(zigzag | 0x80);
    bytes[size++] = (guint8)zigzag;
    before = live[i];
  }
  return deflate_all(bytes, size);
}

struct ResultsDecoder {
  z_stream stream;
  guint8 buffer[1 << 16];
};

ResultsDecoder *results_decoder_new(void) {
  ResultsDecoder *decoder = g_new0(ResultsDecoder, 1);
  int status = inflateInit(&decoder->stream);
  g_assert(status == Z_OK);
  return decoder;
}

void results_decoder_free(ResultsDecoder *decoder) {
  inflateEnd(&decoder->stream);
  g_free(decoder);
}

#define MOST_NUMBERS (1 << 24) /* far more tokens than any model has positions */

/* A number takes at least a byte and zlib makes at most 1032 bytes of one. */
gboolean results_blob_holds(gsize blob_size, gint64 n) {
  return n >= 0 && n <= MOST_NUMBERS && (gsize)n <= blob_size * 1032;
}

static gboolean corrupt(GError **error, const char *what) {
  g_set_error(error, RESULTS_ERROR, RESULTS_ERROR_CORRUPT,
              "%s; the store is damaged: `sqlite3 FILE .recover | sqlite3 NEW` saves what can be read", what);
  return FALSE;
}

static gboolean start(ResultsDecoder *decoder, const void *blob, gsize size, GError **error) {
  if (size > UINT_MAX) return corrupt(error, "a blob is larger than any this program writes");
  inflateReset(&decoder->stream);
  decoder->stream.next_in = (Bytef *)blob;
  decoder->stream.avail_in = (uInt)size;
  return TRUE;
}

/* Inflates into `out` up to `size` bytes; `*end` when the stream is over. */
static gboolean inflate_some(ResultsDecoder *decoder, void *out, gsize size, gsize *got, gboolean *end,
                             GError **error) {
  decoder->stream.next_out = out;
  decoder->stream.avail_out = (uInt)size;
  int status = inflate(&decoder->stream, Z_NO_FLUSH);
  *got = size - decoder->stream.avail_out;
  *end = status == Z_STREAM_END;
  if (*end ? decoder->stream.avail_in == 0 : status == Z_OK && *got > 0) return TRUE;
  return corrupt(error, "a blob is no whole zlib stream");
}

gboolean results_tokens_decode(ResultsDecoder *decoder, const void *blob, gsize size, int32_t *out, int n,
                               GError **error) {
  gsize wanted = (gsize)n * sizeof *out, have = 0;
  gboolean end = FALSE;
  if (!start(decoder, blob, size, error)) return FALSE;
  while (!end) {
    gsize room = MIN(wanted - have, 1 << 30), got;
    guint8 spare; /* a stream that ends where it should still has its checksum to read */
    if (!inflate_some(decoder, room ? (guint8 *)out + have : &spare, room ? room : 1, &got, &end, error)) return FALSE;
    if (got > room) return corrupt(error, "a blob holds more tokens than its row says");
    have += got;
  }
  if (have != wanted) return corrupt(error, "a blob holds fewer tokens than its row says");
  for (int i = 0; i < n; i++) out[i] = GINT32_FROM_LE(out[i]);
  return TRUE;
}

gboolean results_live_decode(ResultsDecoder *decoder, const void *blob, gsize size, uint64_t *out, int n,
                             GError **error) {
  uint64_t value = 0, zigzag = 0;
  int count = 0, shift = 0;
  gboolean end = FALSE;
  if (!start(decoder, blob, size, error)) return FALSE;
  while (!end) {
    gsize got;
    if (!inflate_some(decoder, decoder->buffer, sizeof decoder->buffer, &got, &end, error)) return FALSE;
    for (gsize i = 0; i < got; i++) {
      guint8 byte = decoder->buffer[i];
      if (shift > 63) return corrupt(error, "a live trace holds a number of more than 64 bits");
      zigzag |= (uint64_t)(byte & 0x7f) << shift;
      shift += 7;
      if (byte & 0x80) continue;
      if (count == n) return corrupt(error, "a live trace is longer than its row says");
      value += (zigzag >> 1) ^ (0 - (zigzag & 1));
      out[count++] = value;
      zigzag = 0;
      shift = 0;
    }
  }
  return (count == n && shift == 0) || corrupt(error, "a live trace is shorter than its row says");
}
