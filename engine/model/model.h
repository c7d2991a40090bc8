/* A model folder, opened and checked: its configuration and where each weight lies. Internal to engine/.
 *
 * Nothing of a weight is in memory until a backend reads it, straight into the layout that it wants. */
#ifndef DMS_MODEL_H
#define DMS_MODEL_H

#include "engine/engine.h"

typedef enum { DMS_MODEL_QWEN2, DMS_MODEL_QWEN3, DMS_MODEL_LLAMA } DmsModelType;

/* Where an eviction decision comes from, in the three public kinds of checkpoints. */
typedef enum {
  DMS_SOURCE_NONE,
  DMS_SOURCE_BORROWED_Q, /* last dim of the first query head of each group, after q_norm, before RoPE */
  DMS_SOURCE_ADAPTER,    /* dms_proj_alpha(dms_proj_alpha_norm(residual stream before input_layernorm)) */
} DmsSource;

/* The DMS rule of a checkpoint. flag[j] = decision of token j + shift; decision = logit > 0; logit = source * scale
 * - offset. Token j is visible to query i iff i - j <= window or flag[j] == 0. */
typedef struct {
  DmsSource source;
  int shift;          /* 1: NVIDIA; 0: FastDMS */
  gboolean rezero;    /* the borrowed dim is zeroed again after RoPE (it always is before) */
  gboolean per_layer; /* the first head's decision counts for all heads of the layer */
  int window;         /* tokens */
  float scale, offset;
  int cr; /* nominal, 0: not stated */
} DmsRule;

typedef enum { DMS_ROPE_DEFAULT, DMS_ROPE_LLAMA3 } DmsRopeType;

typedef struct {
  DmsRopeType type;
  double theta, factor, low_freq_factor, high_freq_factor;
  int original_positions;
} DmsRope;

typedef struct {
  DmsModelType type;
  int hidden, intermediate, layers, heads, kv_heads, head_dim, vocab;
  int context; /* max_position_embeddings */
  float norm_eps;
  gboolean tied; /* the head is the embedding */
  gboolean qkv_bias, o_bias, mlp_bias, qk_norm;
  DmsRope rope;
  DmsRule dms;          /* source DMS_SOURCE_NONE when the checkpoint has no DMS */
  char *dms_file;       /* path of the side file that stated the rule; NULL: config.json */
  GArray *stop_tokens;  /* int32_t: eos_token_id of generation_config.json and config.json */
  DmsSampling sampling; /* of generation_config.json */
} DmsConfig;

typedef enum {
  DMS_DTYPE_F32,
  DMS_DTYPE_F16,
  DMS_DTYPE_BF16,
  DMS_DTYPE_OTHER, /* this and above: legal in a file, but not in a weight of the model */
} DmsDtype;

/* A weight on disk, or (in a model of random weights) a recipe for one. */
typedef struct {
  char *name;
  DmsDtype dtype;
  int rank;
  int64_t shape[2]; /* rows, columns; a vector has rank 1 */
  int file;         /* index into the model's files; -1: random */
  guint64 offset;   /* bytes from the start of the file; random: the tensor's key */
  guint64 bytes;
} DmsTensor;

typedef struct {
  const DmsTensor *input_norm, *post_norm;          /* [hidden] */
  const DmsTensor *q, *k, *v, *o;                   /* [heads*dim, hidden], [kv*dim, hidden] x 2, [hidden, heads*dim] */
  const DmsTensor *q_bias, *k_bias, *v_bias;        /* NULL without QKV bias */
  const DmsTensor *o_bias;                          /* NULL without */
  const DmsTensor *q_norm, *k_norm;                 /* [dim]; NULL without q/k norm */
  const DmsTensor *gate, *up, *down;                /* [intermediate, hidden] x 2, [hidden, intermediate] */
  const DmsTensor *gate_bias, *up_bias, *down_bias; /* NULL without */
  const DmsTensor *alpha, *alpha_norm;              /* [kv_heads, hidden], [hidden]; NULL but for DMS_SOURCE_ADAPTER */
  const DmsTensor *alpha_bias;                      /* [kv_heads]; NULL without */
} DmsLayer;

typedef struct {
  char *dir;
  DmsConfig config;
  const DmsTensor *embed, *norm, *head; /* [vocab, hidden], [hidden], [vocab, hidden]; head == embed when tied */
  DmsLayer *layer;                      /* [config.layers] */
  gboolean random;                      /* random weights: dms_model_open_random() */
  double evict_rate;                    /* random weights: share of tokens flagged, in [0, 1] */
  struct DmsModelFiles *files;          /* owned: descriptors and tensors */
} DmsModel;

/* Opens and checks every header of `dir`: config.json, generation_config.json (optional), model.safetensors or the
 * sharded index and its shards. DMS_ERROR_MODEL names the file, the field or tensor, the value found and the value
 * allowed. Free with dms_model_free(). */
DmsModel *dms_model_open(const char *dir, GError **error);
/* The shapes of `config_path` with random weights of the usual scale; eviction decisions come out 1 for `evict_rate`
 * of the tokens. */
DmsModel *dms_model_open_random(const char *config_path, double evict_rate, GError **error);
void dms_model_free(DmsModel *model);

/* Reads `rows` rows from row `first` of a tensor (a vector is one row) and converts them. Thread-safe: pread() only.
 * A file that has shrunk since it was opened is an error, never a crash. */
gboolean dms_model_read_f32(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, float *out,
                            GError **error);
gboolean dms_model_read_bf16(const DmsModel *model, const DmsTensor *tensor, int64_t first, int64_t rows, uint16_t *out,
                             GError **error);

/* The rotation frequencies of the `head_dim / 2` pairs, radians a position, computed in double as Hugging Face
 * transformers computes them in float (pairs are i and i + head_dim / 2). */
void dms_rope_frequencies(const DmsConfig *config, float *out);

/* The small files of `dir` alone: config.json, generation_config.json (may be missing) and where a checkpoint has
 * them the side files that state its DMS rule (rule.h says which and in what order). `*config` is untouched on
 * failure; clear it with dms_config_clear(). */
gboolean dms_config_read(const char *dir, DmsConfig *config, GError **error);
/* The same for a config.json of any name; the other files lie beside it. */
gboolean dms_config_read_file(const char *path, DmsConfig *config, GError **error);
void dms_config_clear(DmsConfig *config);
/* "qwen2", "qwen3", "llama" */
const char *dms_model_type_name(DmsModelType type);

#endif
