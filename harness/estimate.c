/* Upper limits of a run's cost. */
#include "harness/estimate.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/progress.h"

enum { DECODED_TOGETHER = 256 }; /* sequences that share a reading of the weights */

typedef struct {
  const Method *method;
  const char *task;
  guint problems, threads;
  double tokens;
  double reads;      /* KV items, mean over layers and heads, of all threads */
  double held;       /* the most KV items that one thread holds, likewise */
  double item_bytes; /* of one item in every layer and head */
  double bytes;      /* read: keys and values of every step, and the weights once for all that are decoded together */
} Cost;

/* KV items that the queries at positions 1 .. n attend to, summed: all of them up to `kept`, beyond one in `ratio`. */
static double sum_live(double n, double kept, double ratio) {
  double early = MIN(n, kept), late = n - early;
  return early * (early + 1) / 2 + late * early + late * (late + 1) / 2 / ratio;
}

static double live_at(double position, double kept, double ratio) {
  return MIN(position, kept) + MAX(position - kept, 0) / ratio;
}

/* How many items the policy keeps whatever they are, and how many it sees for one that it keeps beyond. */
static void policy_shape(const Method *method, double *kept, double *ratio) {
  DmsPolicy policy = plan_policy(method->plan);
  *kept = policy.kind == DMS_POLICY_DMS      ? method->info.dms_window + 1
          : policy.kind == DMS_POLICY_WINDOW ? policy.window + 1 + policy.sinks
                                             : INFINITY;
  *ratio = policy.kind == DMS_POLICY_DMS ? method_cr(method) : INFINITY;
}

static double item_bytes(const Method *method, DmsDevice device) {
  DmsPrecision precision = plan_precision(method->plan);
  gboolean wide = precision == DMS_PRECISION_F32 || (precision == DMS_PRECISION_AUTO && device == DMS_DEVICE_CPU);
  double scale = wide ? 2 : precision == DMS_PRECISION_FP8_KV ? 0.5 : 1; /* of 16 bits */
  return scale * method->info.layers * method->info.kv_heads * (double)method->info.item_bytes;
}

static void add_question(Cost *cost, const Question *question, int threads) {
  double kept, ratio, prompt = question->prompt->len, length = question->task->max_length;
  policy_shape(cost->method, &kept, &ratio);
  cost->problems++;
  cost->threads += (guint)threads;
  cost->tokens += threads * length;
  /* The first token's step is the prompt's last position. */
  cost->reads += threads * (sum_live(prompt + length - 1, kept, ratio) - sum_live(prompt - 1, kept, ratio));
  cost->held = MAX(cost->held, live_at(prompt + length - 1, kept, ratio));
}

/* Bytes of the safetensors files in a model's folder. */
static double weight_bytes(const Method *method) {
  g_autoptr(GDir) folder = g_dir_open(method->dir, 0, NULL);
  double bytes = 0;
  for (const char *name; folder && (name = g_dir_read_name(folder));) {
    g_autofree char *path = g_build_filename(method->dir, name, NULL);
    GStatBuf status;
    if (g_str_has_suffix(name, ".safetensors") && g_stat(path, &status) == 0) bytes += (double)status.st_size;
  }
  return bytes;
}

/* One Cost for each method and task, those of a method together. */
static GArray *collect(const GPtrArray *methods, int threads, DmsDevice device, int together) {
  GArray *costs = g_array_new(FALSE, TRUE, sizeof(Cost));
  for (guint m = 0; m < methods->len; m++) {
    const Method *method = methods->pdata[m];
    const Task *task = NULL;
    for (guint q = 0; q < method->questions->len; q++) {
      const Question *question = method->questions->pdata[q];
      if (question->task != task) {
        Cost cost = {.method = method, .task = task_name(question->task), .item_bytes = item_bytes(method, device)};
        g_array_append_val(costs, cost);
        task = question->task;
      }
      add_question(&g_array_index(costs, Cost, costs->len - 1), question, threads);
    }
  }
  for (guint i = 0; i < costs->len; i++) {
    Cost *cost = &g_array_index(costs, Cost, i);
    cost->bytes = cost->reads * cost->item_bytes + cost->tokens / together * weight_bytes(cost->method);
  }
  return costs;
}

/* The method's name, and below it a row for each of its tasks. */
static void print_row(const Cost *cost, gboolean first, int width) {
  char tokens[16], reads[16], held[16], bytes[16];
  format_count(cost->tokens, tokens, sizeof tokens);
  format_count(cost->reads / cost->problems, reads, sizeof reads);
  format_bytes(cost->held * cost->item_bytes, held, sizeof held);
  format_bytes(cost->bytes, bytes, sizeof bytes);
  if (first) printf("%s %gx\n", cost->method->plan->name, method_cr(cost->method));
  printf("  %-*s %8u %7u %7s %13s %9s %8s\n", width, cost->task, cost->problems, cost->threads, tokens, reads, held,
         bytes);
}

static void print_table(const GArray *costs, int together) {
  double tokens = 0, bytes = 0;
  char text[3][16];
  int width = (int)strlen("task");
  for (guint i = 0; i < costs->len; i++) width = MAX(width, (int)strlen(g_array_index(costs, Cost, i).task));
  printf("  %-*s %8s %7s %7s %13s %9s %8s\n", width, "task", "problems", "threads", "tokens", "reads/problem",
         "KV/thread", "read");
  for (guint i = 0; i < costs->len; i++) {
    const Cost *cost = &g_array_index(costs, Cost, i);
    print_row(cost, i == 0 || cost[-1].method != cost->method, width);
    tokens += cost->tokens;
    bytes += cost->bytes;
  }
  format_count(tokens, text[0], sizeof text[0]);
  format_bytes(bytes, text[1], sizeof text[1]);
  format_duration(bytes / 1e12, text[2], sizeof text[2]);
  printf("\nAt most %s tokens and %s read: %s at 1 TB/s. That is if no thread\n"
         "ended before its length and caches shrank as their CR says, with %d decoded\n"
         "together; `run --limit 2` shows how far below it your models stay.\n",
         text[0], text[1], text[2], together);
}

static void print_json(const GArray *costs) {
  json_t *rows = json_array();
  for (guint i = 0; i < costs->len; i++) {
    const Cost *cost = &g_array_index(costs, Cost, i);
    json_array_append_new(rows,
                          json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:f}", "method", cost->method->plan->name,
                                    "model", cost->method->plan->model, "task", cost->task, "problems",
                                    (json_int_t)cost->problems, "threads", (json_int_t)cost->threads, "tokens",
                                    cost->tokens, "reads_problem", cost->reads / cost->problems, "kv_bytes_thread",
                                    cost->held * cost->item_bytes, "bytes_read", cost->bytes));
  }
  json_dumpf(rows, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  putchar('\n');
  json_decref(rows);
}

void estimate_print(const GPtrArray *methods, const RunOptions *options, int threads, gboolean json) {
  int together = options->max_sequences ? options->max_sequences : DECODED_TOGETHER;
  g_autoptr(GArray) costs = collect(methods, threads, options->device, together);
  if (json)
    print_json(costs);
  else
    print_table(costs, together);
}
