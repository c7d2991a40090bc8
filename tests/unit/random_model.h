/* Small models with random weights: written as a Hugging Face folder, and computed in double precision the slow and
 * plain way. */
#ifndef RANDOM_MODEL_H
#define RANDOM_MODEL_H

#include "engine/model/model.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

typedef struct {
  const char *name, *type;
  int hidden, intermediate, layers, heads, kv_heads, head_dim, vocab;
  DmsDtype dtype;
  gboolean tied, llama3_rope, biased; /* biased: attention_bias and mlp_bias of a llama */
  DmsSource source;
  gboolean unshifted, keep_after_rope, per_layer;
  int window;
} RandomModel;

typedef struct {
  char *dir;
  RandomModel shape;
  GHashTable *weights; /* name -> double *, as rounded to the dtype of the file */
} RandomFolder;

/* ---- Writing ---- */

typedef struct {
  RandomFolder *folder;
  GRand *random;
  json_t *header;
  GByteArray *data;
} RandomWriter;

static double round_to(DmsDtype dtype, double x, GByteArray *data) {
  float f = (float)x;
  if (dtype == DMS_DTYPE_F32) {
    g_byte_array_append(data, (const guint8 *)&f, sizeof f);
    return f;
  }
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  uint16_t half;
  if (dtype == DMS_DTYPE_BF16) {
    half = (uint16_t)((bits + 0x8000) >> 16);
    bits = (uint32_t)half << 16;
    memcpy(&f, &bits, sizeof f);
  } else {
    _Float16 h = (_Float16)f;
    memcpy(&half, &h, sizeof half);
    f = (float)h;
  }
  g_byte_array_append(data, (const guint8 *)&half, sizeof half);
  return f;
}

static double normal(GRand *random) {
  return sqrt(-2 * log(1 - g_rand_double(random))) * cos(2 * G_PI * g_rand_double(random));
}

static void add_tensor(RandomWriter *writer, char *name, int rows, int columns, double mean, double deviation) {
  DmsDtype dtype = writer->folder->shape.dtype;
  gsize n = (gsize)rows * (columns ? columns : 1), start = writer->data->len;
  double *values = g_new(double, n);
  for (gsize i = 0; i < n; i++) values[i] = round_to(dtype, mean + deviation * normal(writer->random), writer->data);
  static const char *const dtypes[] = {"F32", "F16", "BF16"};
  json_t *shape = columns ? json_pack("[ii]", rows, columns) : json_pack("[i]", rows);
  json_object_set_new(writer->header, name,
                      json_pack("{s:s, s:o, s:[I,I]}", "dtype", dtypes[dtype], "shape", shape, "data_offsets",
                                (json_int_t)start, (json_int_t)writer->data->len));
  g_hash_table_insert(writer->folder->weights, name, values);
}

static void add_matrix(RandomWriter *writer, char *name, int rows, int columns) {
  add_tensor(writer, name, rows, columns, 0, 1 / sqrt(columns));
}

static void add_norm(RandomWriter *writer, char *name, int n) {
  add_tensor(writer, name, n, 0, 1, 0.2);
}

static void add_layer(RandomWriter *writer, int l) {
  const RandomModel *m = &writer->folder->shape;
  int q = m->heads * m->head_dim, kv = m->kv_heads * m->head_dim;
#define NAME(s) g_strdup_printf("model.layers.%d." s, l)
  add_norm(writer, NAME("input_layernorm.weight"), m->hidden);
  add_matrix(writer, NAME("self_attn.q_proj.weight"), q, m->hidden);
  add_matrix(writer, NAME("self_attn.k_proj.weight"), kv, m->hidden);
  add_matrix(writer, NAME("self_attn.v_proj.weight"), kv, m->hidden);
  add_matrix(writer, NAME("self_attn.o_proj.weight"), m->hidden, q);
  if (g_str_equal(m->type, "qwen2") || m->biased) {
    add_tensor(writer, NAME("self_attn.q_proj.bias"), q, 0, 0, 0.3);
    add_tensor(writer, NAME("self_attn.k_proj.bias"), kv, 0, 0, 0.3);
    add_tensor(writer, NAME("self_attn.v_proj.bias"), kv, 0, 0, 0.3);
  }
  if (m->biased) {
    add_tensor(writer, NAME("self_attn.o_proj.bias"), m->hidden, 0, 0, 0.3);
    add_tensor(writer, NAME("mlp.gate_proj.bias"), m->intermediate, 0, 0, 0.3);
    add_tensor(writer, NAME("mlp.up_proj.bias"), m->intermediate, 0, 0, 0.3);
    add_tensor(writer, NAME("mlp.down_proj.bias"), m->hidden, 0, 0, 0.3);
  }
  if (g_str_equal(m->type, "qwen3")) {
    add_norm(writer, NAME("self_attn.q_norm.weight"), m->head_dim);
    add_norm(writer, NAME("self_attn.k_norm.weight"), m->head_dim);
  }
  if (m->source == DMS_SOURCE_ADAPTER) {
    add_tensor(writer, NAME("self_attn.dms_proj_alpha.weight"), m->kv_heads, m->hidden, 0, 0.01);
    add_norm(writer, NAME("self_attn.dms_proj_alpha_norm.weight"), m->hidden);
  }
  add_norm(writer, NAME("post_attention_layernorm.weight"), m->hidden);
  add_matrix(writer, NAME("mlp.gate_proj.weight"), m->intermediate, m->hidden);
  add_matrix(writer, NAME("mlp.up_proj.weight"), m->intermediate, m->hidden);
  add_matrix(writer, NAME("mlp.down_proj.weight"), m->hidden, m->intermediate);
#undef NAME
}

static void write_json(const char *dir, const char *name, json_t *object) {
  g_autofree char *path = g_build_filename(dir, name, NULL);
  g_assert_cmpint(json_dump_file(object, path, JSON_INDENT(1)), ==, 0);
  json_decref(object);
}

static void write_config(const RandomFolder *folder) {
  const RandomModel *m = &folder->shape;
  json_t *config = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b, s:f}", "model_type", m->type,
                             "hidden_size", m->hidden, "intermediate_size", m->intermediate, "num_hidden_layers",
                             m->layers, "num_attention_heads", m->heads, "num_key_value_heads", m->kv_heads, "head_dim",
                             m->head_dim, "vocab_size", m->vocab, "max_position_embeddings", 4096, "rms_norm_eps", 1e-6,
                             "tie_word_embeddings", m->tied, "rope_theta", 1e4);
  if (m->llama3_rope)
    json_object_set_new(config, "rope_scaling",
                        json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", 8.0, "low_freq_factor",
                                  1.0, "high_freq_factor", 4.0, "original_max_position_embeddings", 64));
  if (m->biased) json_object_update_new(config, json_pack("{s:b, s:b}", "attention_bias", 1, "mlp_bias", 1));
  if (m->per_layer) json_object_set_new(config, "dms_alpha_per", json_string("layer"));
  write_json(folder->dir, "config.json", config);
  if (m->source != DMS_SOURCE_NONE)
    write_json(folder->dir, "dms_rule.json",
               json_pack("{s:i, s:f, s:f, s:s, s:i, s:i}", "window", m->window, "scale", 100.0, "offset", 5.0, "source",
                         m->source == DMS_SOURCE_ADAPTER ? "adapter" : "borrowed_q", "shift", !m->unshifted, "rezero",
                         !m->keep_after_rope));
}

/* Writes a model of this shape; `seed` decides its weights. Free with random_folder_free(). */
static RandomFolder *random_folder_new(const RandomModel *shape, guint32 seed) {
  RandomFolder *folder = g_new0(RandomFolder, 1);
  g_autoptr(GError) error = NULL;
  folder->dir = g_dir_make_tmp("dms-model-XXXXXX", &error);
  g_assert_no_error(error);
  folder->shape = *shape;
  folder->weights = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  RandomWriter writer = {folder, g_rand_new_with_seed(seed), json_object(), g_byte_array_new()};
  add_tensor(&writer, g_strdup("model.embed_tokens.weight"), shape->vocab, shape->hidden, 0, 0.5);
  for (int l = 0; l < shape->layers; l++) add_layer(&writer, l);
  add_norm(&writer, g_strdup("model.norm.weight"), shape->hidden);
  if (!shape->tied) add_matrix(&writer, g_strdup("lm_head.weight"), shape->vocab, shape->hidden);
  write_config(folder);

  g_autofree char *path = g_build_filename(folder->dir, "model.safetensors", NULL);
  char *text = json_dumps(writer.header, JSON_COMPACT);
  guint64 length = strlen(text);
  GByteArray *file = g_byte_array_new();
  g_byte_array_append(file, (const guint8 *)&length, sizeof length);
  g_byte_array_append(file, (const guint8 *)text, (guint)length);
  g_byte_array_append(file, writer.data->data, writer.data->len);
  g_file_set_contents(path, (const char *)file->data, file->len, &error);
  g_assert_no_error(error);
  free(text);
  g_byte_array_unref(file);
  g_byte_array_unref(writer.data);
  json_decref(writer.header);
  g_rand_free(writer.random);
  return folder;
}

static void random_folder_free(RandomFolder *folder) {
  static const char *const files[] = {"config.json", "dms_rule.json", "model.safetensors"};
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autofree char *path = g_build_filename(folder->dir, files[i], NULL);
    g_unlink(path);
  }
  g_rmdir(folder->dir);
  g_free(folder->dir);
  g_hash_table_unref(folder->weights);
  g_free(folder);
}

/* ---- Computing ---- */

typedef struct {
  double *logits; /* [n, vocab] */
  uint8_t *flags; /* [layers, kv_heads, n] */
  int32_t *live;  /* the same */
  double closest; /* smallest distance of a decision's logit from zero */
} RandomResult;

G_GNUC_UNUSED static void random_result_clear(RandomResult *result) {
  g_free(result->logits);
  g_free(result->flags);
  g_free(result->live);
}

static const double *weight_of(const RandomFolder *folder, int l, const char *name) {
  g_autofree char *whole = l < 0 ? g_strdup(name) : g_strdup_printf("model.layers.%d.%s", l, name);
  return g_hash_table_lookup(folder->weights, whole);
}

static void multiply(const double *matrix, const double *bias, const double *in, int rows, int columns, double *out) {
  for (int i = 0; i < rows; i++) {
    out[i] = bias ? bias[i] : 0;
    for (int j = 0; j < columns; j++) out[i] += matrix[(gsize)i * columns + j] * in[j];
  }
}

/* The layer's matrix of that name, with its bias where it has one. */
static void linear(const RandomFolder *folder, int l, const char *name, const double *in, int rows, int columns,
                   double *out) {
  g_autofree char *weight = g_strconcat(name, ".weight", NULL), *bias = g_strconcat(name, ".bias", NULL);
  multiply(weight_of(folder, l, weight), weight_of(folder, l, bias), in, rows, columns, out);
}

static void normalise(const double *in, const double *weight, int n, double *out) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += in[i] * in[i];
  double scale = 1 / sqrt(sum / n + 1e-6);
  for (int i = 0; i < n; i++) out[i] = in[i] * scale * weight[i];
}

static void rotate(double *x, int dim, int position, const float *frequencies) {
  for (int i = 0; i < dim / 2; i++) {
    double angle = (double)((float)position * frequencies[i]), a = x[i], b = x[i + dim / 2];
    x[i] = a * cos(angle) - b * sin(angle), x[i + dim / 2] = b * cos(angle) + a * sin(angle);
  }
}

/* One layer's queries, keys, values and decisions of one token. `decide`: by the checkpoint's rule. */
static void project(const RandomFolder *folder, int l, const double *stream, int position, const float *frequencies,
                    gboolean decide, double *q, double *k, double *v, double *decision) {
  const RandomModel *m = &folder->shape;
  int dim = m->head_dim, group = m->heads / m->kv_heads;
  g_autofree double *normed = g_new(double, m->hidden);
  normalise(stream, weight_of(folder, l, "input_layernorm.weight"), m->hidden, normed);
  linear(folder, l, "self_attn.q_proj", normed, m->heads * dim, m->hidden, q);
  linear(folder, l, "self_attn.k_proj", normed, m->kv_heads * dim, m->hidden, k);
  linear(folder, l, "self_attn.v_proj", normed, m->kv_heads * dim, m->hidden, v);
  const double *q_norm = weight_of(folder, l, "self_attn.q_norm.weight");
  const double *k_norm = weight_of(folder, l, "self_attn.k_norm.weight");
  for (int h = 0; h < m->heads && q_norm; h++) normalise(q + h * dim, q_norm, dim, q + h * dim);
  for (int h = 0; h < m->kv_heads && k_norm; h++) normalise(k + h * dim, k_norm, dim, k + h * dim);
  gboolean borrowed = decide && m->source == DMS_SOURCE_BORROWED_Q;
  if (decide && m->source == DMS_SOURCE_ADAPTER) {
    normalise(stream, weight_of(folder, l, "self_attn.dms_proj_alpha_norm.weight"), m->hidden, normed);
    multiply(weight_of(folder, l, "self_attn.dms_proj_alpha.weight"), NULL, normed, m->kv_heads, m->hidden, decision);
  }
  for (int h = 0; h < m->kv_heads && borrowed; h++) {
    double *last = &q[h * group * dim + dim - 1];
    decision[h] = *last, *last = 0;
  }
  for (int h = 0; h < m->kv_heads && decide; h++) decision[h] = decision[h] * 100 - 5;
  for (int h = 0; h < m->kv_heads && m->per_layer; h++) decision[h] = decision[0];
  for (int h = 0; h < m->heads; h++) rotate(q + h * dim, dim, position, frequencies);
  for (int h = 0; h < m->kv_heads; h++) rotate(k + h * dim, dim, position, frequencies);
  for (int h = 0; h < m->kv_heads && borrowed && !m->keep_after_rope; h++) q[h * group * dim + dim - 1] = 0;
}

/* Whether token j is visible to query i. */
static gboolean visible(const DmsPolicy *policy, int window, const uint8_t *flags, int i, int j) {
  if (policy->kind == DMS_POLICY_VANILLA) return TRUE;
  return i - j <= window || !flags[j];
}

/* Logits, flags and live counts of all positions, by a dense mask. */
G_GNUC_UNUSED static RandomResult random_folder_forward(const RandomFolder *folder, const DmsPolicy *policy,
                                                        const int32_t *ids, int n) {
  const RandomModel *m = &folder->shape;
  int dim = m->head_dim, group = m->heads / m->kv_heads, Q = m->heads * dim, KV = m->kv_heads * dim, H = m->hidden;
  gboolean decide = policy->kind == DMS_POLICY_DMS;
  int window = decide ? m->window : policy->window, shift = m->unshifted ? 0 : 1;
  RandomResult result = {g_new(double, (gsize)n * m->vocab), g_new0(uint8_t, m->layers * m->kv_heads * n),
                         g_new0(int32_t, m->layers * m->kv_heads * n), INFINITY};
  DmsConfig config;
  g_autoptr(GError) error = NULL;
  g_autofree float *frequencies = g_new(float, dim / 2);
  dms_config_read(folder->dir, &config, &error);
  g_assert_no_error(error);
  dms_rope_frequencies(&config, frequencies);
  dms_config_clear(&config);

  g_autofree double *x = g_new(double, (gsize)n *H), *q = g_new(double, (gsize)n *Q), *k = g_new(double, (gsize)n *KV);
  g_autofree double *v = g_new(double, (gsize)n *KV), *mixed = g_new(double, Q), *score = g_new(double, n);
  g_autofree double *normed = g_new(double, H), *gate = g_new(double, m->intermediate),
                    *up = g_new(double, m->intermediate);
  g_autofree double *out = g_new(double, H), *decision = g_new0(double, m->kv_heads);
  const double *embed = weight_of(folder, -1, "model.embed_tokens.weight");
  for (int t = 0; t < n; t++) memcpy(x + (gsize)t * H, embed + (gsize)ids[t] * H, H * sizeof *x);
  for (int l = 0; l < m->layers; l++) {
    uint8_t *flags = result.flags + (gsize)l * m->kv_heads * n;
    for (int t = 0; t < n; t++) {
      project(folder, l, x + (gsize)t * H, t, frequencies, decide, q + (gsize)t * Q, k + (gsize)t * KV,
              v + (gsize)t * KV, decision);
      for (int h = 0; h < m->kv_heads; h++) {
        if (policy->kind == DMS_POLICY_WINDOW) flags[h * n + t] = t >= policy->sinks;
        if (!decide) continue;
        result.closest = fmin(result.closest, fabs(decision[h]));
        if (t - shift >= 0) flags[h * n + t - shift] = decision[h] > 0;
      }
    }
    for (int i = 0; i < n; i++) {
      for (int h = 0; h < m->heads; h++) {
        int kv = h / group;
        double max = -INFINITY, sum = 0;
        int live = 0;
        for (int j = 0; j <= i; j++) {
          score[j] = -INFINITY;
          if (!visible(policy, window, flags + kv * n, i, j)) continue;
          score[j] = 0, live++;
          for (int d = 0; d < dim; d++) score[j] += q[(gsize)i * Q + h * dim + d] * k[(gsize)j * KV + kv * dim + d];
          score[j] /= sqrt(dim);
          max = fmax(max, score[j]);
        }
        for (int j = 0; j <= i; j++) sum += score[j] = exp(score[j] - max);
        for (int d = 0; d < dim; d++) {
          mixed[h * dim + d] = 0;
          for (int j = 0; j <= i; j++) mixed[h * dim + d] += score[j] / sum * v[(gsize)j * KV + kv * dim + d];
        }
        result.live[((gsize)l * m->kv_heads + kv) * n + i] = live;
      }
      double *stream = x + (gsize)i * H;
      linear(folder, l, "self_attn.o_proj", mixed, H, Q, out);
      for (int d = 0; d < H; d++) stream[d] += out[d];
      normalise(stream, weight_of(folder, l, "post_attention_layernorm.weight"), H, normed);
      linear(folder, l, "mlp.gate_proj", normed, m->intermediate, H, gate);
      linear(folder, l, "mlp.up_proj", normed, m->intermediate, H, up);
      for (int d = 0; d < m->intermediate; d++) gate[d] = gate[d] / (1 + exp(-gate[d])) * up[d];
      linear(folder, l, "mlp.down_proj", gate, H, m->intermediate, out);
      for (int d = 0; d < H; d++) stream[d] += out[d];
    }
  }
  const double *head = m->tied ? embed : weight_of(folder, -1, "lm_head.weight");
  for (int t = 0; t < n; t++) {
    normalise(x + (gsize)t * H, weight_of(folder, -1, "model.norm.weight"), H, normed);
    multiply(head, NULL, normed, m->vocab, H, result.logits + (gsize)t * m->vocab);
  }
  return result;
}

#endif
