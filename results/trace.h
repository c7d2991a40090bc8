/* Token ids and live traces as blobs (format: schema.sql), exact both ways. */
#ifndef HYPERSCALE_RESULTS_TRACE_H
#define HYPERSCALE_RESULTS_TRACE_H

#include <glib.h>
#include <stdint.h>

/* Never fail: zlib needs no more than memory. Free with g_bytes_unref(). */
GBytes *results_tokens_encode(const int32_t *tokens, int n);
GBytes *results_live_encode(const uint64_t *live, int n);

/* Decodes exactly `n` numbers into `out` [n], or fails with RESULTS_ERROR_CORRUPT. Check n with results_blob_holds()
 * before `out` is allocated: a damaged store may claim any. A decoder may be used again and again, by one thread at a
 * time. */
typedef struct ResultsDecoder ResultsDecoder;
ResultsDecoder *results_decoder_new(void);
void results_decoder_free(ResultsDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ResultsDecoder, results_decoder_free)
gboolean results_blob_holds(gsize blob_size, gint64 n);
gboolean results_tokens_decode(ResultsDecoder *decoder, const void *blob, gsize size, int32_t *out, int n,
                               GError **error);
gboolean results_live_decode(ResultsDecoder *decoder, const void *blob, gsize size, uint64_t *out, int n,
                             GError **error);

#endif
