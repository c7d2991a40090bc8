/* Prompts: layer by layer over all tokens of as many prompts as fit the work buffers, products in chunks. Attention
 * sees a layer's keys and values whole, under the mask; what the rule keeps goes to pages as each layer is done. */
#include "engine/cuda/layers.h"

#include <string.h>

enum { TILE = 64 }; /* queries of one tile of the attention kernel */

/* Prompts laid end to end, on the device. */
typedef struct {
  DmsCudaPrompts prompts;
  const int32_t *ids;
  const int32_t *last_rows; /* [n] row of each prompt's last token */
} Layout;

/* What a pass over the layers hands out beside x. */
typedef struct {
  gboolean keep;  /* into the slots' pages */
  uint8_t *flags; /* host [layers][kv_heads][tokens], or NULL */
} Wanted;

static gboolean lay_out(DmsBackend *b, const DmsPrefill *prompts, int n, gboolean slots, Layout *out, GError **error) {
  int tokens = 0, tiles = 0;
  for (int i = 0; i < n; i++) tokens += prompts[i].length, tiles += (prompts[i].length + TILE - 1) / TILE;
  gsize total = 3 * (gsize)tokens + 3 * (gsize)n + 1 + 2 * (gsize)tiles;
  g_autofree int32_t *host = g_new(int32_t, total);
  int32_t *ids = host, *positions = ids + tokens, *prompt_of = positions + tokens, *starts = prompt_of + tokens;
  int32_t *slot = starts + n + 1, *last = slot + n, *tile = last + n, *next = tile;
  starts[0] = 0;
  for (int i = 0; i < n; i++) {
    int start = starts[i], length = prompts[i].length;
    memcpy(ids + start, prompts[i].ids, length * sizeof *ids);
    for (int t = 0; t < length; t++) positions[start + t] = t, prompt_of[start + t] = i;
    for (int t = 0; t < length; t += TILE) *next++ = i, *next++ = t;
    starts[i + 1] = start + length, slot[i] = prompts[i].slot, last[i] = start + length - 1;
  }
  int32_t *device = b->prompt_data;
  TRY(cudaMemcpyAsync(device, host, total * sizeof *host, cudaMemcpyHostToDevice, b->stream), "sending prompts");
  TRY(cudaStreamSynchronize(b->stream), "sending prompts");
  *out = (Layout){.prompts = {.n = n,
                              .tokens = tokens,
                              .starts = device + (starts - host),
                              .slots = slots ? device + (slot - host) : NULL,
                              .positions = device + (positions - host),
                              .prompt_of = device + (prompt_of - host),
                              .tiles = device + (tile - host),
                              .n_tiles = tiles},
                  .ids = device,
                  .last_rows = device + (last - host)};
  return TRUE;
}

static gboolean run_layer(DmsBackend *b, const Layout *layout, int layer, const Wanted *wanted, GError **error) {
  const DmsCudaPrompts *p = &layout->prompts;
  gboolean evicts = b->cache.ring > 0;
  gsize flag_bytes = (gsize)p->tokens * b->config->kv_heads;
  for (int first = 0; first < p->tokens; first += DMS_CUDA_CHUNK)
    if (!dms_cuda_layer_in(b, layer, first, MIN(DMS_CUDA_CHUNK, p->tokens - first), error)) return FALSE;
  DmsCudaRope rope = dms_cuda_layer_rope(b, layer);
  dms_cuda_mark(b, "rotate");
  if (evicts) TRY(cudaMemsetAsync(b->flags, 0, flag_bytes, b->stream), "clearing flags");
  TRY(dms_cuda_rope_prefill(b->stream, &rope, p, evicts ? b->flags : NULL), "rotating a prompt");
  if (wanted->keep) {
    dms_cuda_mark(b, "keep");
    TRY(dms_cuda_cache_keep(b->stream, &b->cache, &b->heads, p, b->qkv, b->flags, layer, b->reads, b->failed),
        "filling pages");
  }
  if (wanted->flags && evicts)
    TRY(cudaMemcpyAsync(wanted->flags + layer * flag_bytes, b->flags, flag_bytes, cudaMemcpyDeviceToHost, b->stream),
        "fetching flags");
  dms_cuda_mark(b, "prompt attention");
  TRY(dms_cuda_prefill_attention(b->stream, &b->heads, p, b->qkv, evicts ? b->flags : NULL, b->cache.ring - 1,
                                 b->attended),
      "a prompt's attention");
  for (int first = 0; first < p->tokens; first += DMS_CUDA_CHUNK)
    if (!dms_cuda_layer_out(b, layer, first, MIN(DMS_CUDA_CHUNK, p->tokens - first), error)) return FALSE;
  return TRUE;
}

static gboolean run_prompts(DmsBackend *b, const Layout *layout, const Wanted *wanted, GError **error) {
  TRY(dms_cuda_embed(b->stream, b->type, b->weights.embed, layout->ids, layout->prompts.tokens, b->config->hidden,
                     b->x),
      "the embedding");
  for (int layer = 0; layer < b->config->layers; layer++)
    if (!run_layer(b, layout, layer, wanted, error)) return FALSE;
  return TRUE;
}

/* The logits of each prompt's last token to its slot. */
static gboolean store_last_logits(DmsBackend *b, const Layout *layout, const DmsPrefill *prompts, GError **error) {
  const DmsConfig *c = b->config;
  for (int first = 0; first < layout->prompts.n; first += b->max_rows) {
    int n = MIN(b->max_rows, layout->prompts.n - first);
    TRY(dms_cuda_gather(b->stream, b->x, layout->last_rows + first, n, c->hidden, b->last_x), "the last tokens' rows");
    if (!dms_cuda_head(b, b->last_x, n, b->logits, error)) return FALSE;
    for (int i = 0; i < n; i++)
      TRY(cudaMemcpyAsync(b->slot_logits + (gsize)prompts[first + i].slot * c->vocab, b->logits + (gsize)i * c->vocab,
                          c->vocab * sizeof(float), cudaMemcpyDeviceToDevice, b->stream),
          "a prompt's logits");
  }
  return TRUE;
}

static gboolean prefill_group(DmsBackend *b, const DmsPrefill *prompts, int n, uint64_t *reads, gboolean *failed,
                              GError **error) {
  Layout layout;
  int32_t none_left = 0;
  TRY(cudaMemsetAsync(b->reads, 0, n * sizeof *b->reads, b->stream), "counting reads");
  TRY(cudaMemsetAsync(b->failed, 0, sizeof *b->failed, b->stream), "counting pages");
  if (!lay_out(b, prompts, n, TRUE, &layout, error)) return FALSE;
  if (!run_prompts(b, &layout, &(Wanted){.keep = TRUE}, error) || !store_last_logits(b, &layout, prompts, error))
    return FALSE;
  TRY(cudaMemcpyAsync(reads, b->reads, n * sizeof *reads, cudaMemcpyDeviceToHost, b->stream), "counting reads");
  TRY(cudaMemcpyAsync(&none_left, b->failed, sizeof none_left, cudaMemcpyDeviceToHost, b->stream), "counting pages");
  TRY(cudaStreamSynchronize(b->stream), "running prompts");
  *failed = none_left != 0;
  return TRUE;
}

gboolean dms_cuda_prefill(DmsBackend *b, const DmsPrefill *prompts, int n, uint64_t *reads, GError **error) {
  gboolean failed = FALSE;
  for (int done = 0, group = 0; done < n && !failed; done += group) {
    int tokens = 0;
    for (group = 0; done + group < n && tokens + prompts[done + group].length <= b->max_tokens; group++)
      tokens += prompts[done + group].length;
    g_assert(group > 0); /* the engine takes no prompt beyond the model's context */
    if (!prefill_group(b, prompts + done, group, reads + done, &failed, error)) return FALSE;
  }
  if (!failed) return TRUE;
  for (int i = 0; i < n; i++) dms_cuda_cache_release(b->stream, &b->cache, prompts[i].slot);
  g_set_error(error, DMS_ERROR, DMS_ERROR_MEMORY, "no KV pages left for %d prompts", n);
  return FALSE;
}

/* Items that each position attends to: the tokens in its window and the unflagged ones before. */
static void count_live(const uint8_t *flags, int ring, int lists, int n, int32_t *live) {
  for (int list = 0; list < lists; list++) {
    int32_t older = 0;
    for (int t = 0; t < n; t++) {
      if (ring && t >= ring) older += !flags[(gsize)list * n + t - ring];
      live[(gsize)list * n + t] = ring ? MIN(t + 1, ring) + older : t + 1;
    }
  }
}

gboolean dms_cuda_forward(DmsBackend *b, const int32_t *ids, int n, float *logits, uint8_t *flags, int32_t *live,
                          GError **error) {
  const DmsConfig *c = b->config;
  int lists = c->layers * c->kv_heads;
  Layout layout;
  g_autofree uint8_t *all_flags = g_malloc0((gsize)lists * n);
  if (!lay_out(b, &(DmsPrefill){.slot = 0, .ids = ids, .length = n}, 1, FALSE, &layout, error)) return FALSE;
  if (!run_prompts(b, &layout, &(Wanted){.flags = all_flags}, error)) return FALSE;
  for (int first = 0; logits && first < n; first += b->max_rows) {
    int rows = MIN(b->max_rows, n - first);
    if (!dms_cuda_head(b, b->x + (gsize)first * c->hidden, rows, b->logits, error)) return FALSE;
    TRY(cudaMemcpyAsync(logits + (gsize)first * c->vocab, b->logits, (gsize)rows * c->vocab * sizeof(float),
                        cudaMemcpyDeviceToHost, b->stream),
        "fetching logits");
  }
  TRY(cudaStreamSynchronize(b->stream), "a forward pass");
  if (flags) memcpy(flags, all_flags, (gsize)lists * n);
  if (live) count_live(all_flags, b->cache.ring, lists, n, live);
  return TRUE;
}
