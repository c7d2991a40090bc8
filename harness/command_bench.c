/* hyperscale bench: decode, prefill and attention speed against the device's own limit. */
#include <jansson.h>
#include <stdio.h>

#include "datasets/dataset.h"
#include "harness/command.h"
#include "harness/option_values.h"
#include "harness/progress.h"

enum { MOST_TOKENS = 1 << 24 };

static char *device, *precision, *config, *lengths_file, *batches = (char *)"1,8,64", *contexts = (char *)"1024",
                                                         *ratios = (char *)"1", *prompts = (char *)"512";
static int steps = 32, cpu_threads;
static double evict_rate;
static gboolean random_weights, json, kernels;

static const GOptionEntry entries[] = {
    {"config", 0, 0, G_OPTION_ARG_FILENAME, &config, "The shapes of a config.json instead of a model", "FILE"},
    {"random-weights", 0, 0, G_OPTION_ARG_NONE, &random_weights, "With --config: random weights", NULL},
    {"evict-rate", 0, 0, G_OPTION_ARG_DOUBLE, &evict_rate, "Random weights: share of tokens flagged (default 0)", "R"},
    {"batch", 0, 0, G_OPTION_ARG_STRING, &batches, "Sequences decoded together (default 1,8,64)", "N,N..."},
    {"context", 0, 0, G_OPTION_ARG_STRING, &contexts, "Tokens that each has seen (default 1024)", "N,N..."},
    {"cr", 0, 0, G_OPTION_ARG_STRING, &ratios, "Context over live items (default 1)", "R,R..."},
    {"prompt", 0, 0, G_OPTION_ARG_STRING, &prompts, "Prefill: prompt lengths (default 512; 0: no prefill)", "N,N..."},
    {"steps", 0, 0, G_OPTION_ARG_INT, &steps, "Decode steps timed (default 32)", "N"},
    {"kernels", 0, 0, G_OPTION_ARG_NONE, &kernels, "Each kernel's share of the step (cuda)", NULL},
    {"attention-lengths", 0, 0, G_OPTION_ARG_FILENAME, &lengths_file,
     "Decode attention alone, on the lengths of FILE (name|head_dim|group|batch|kv_heads|lengths)", "FILE"},
    {"device", 0, 0, G_OPTION_ARG_STRING, &device, "cpu (default), cuda or cuda:N", "DEVICE"},
    {"precision", 0, 0, G_OPTION_ARG_STRING, &precision, "f32, bf16 or fp8 (default: the device's own)", "P"},
    {"cpu-threads", 0, 0, G_OPTION_ARG_INT, &cpu_threads, "CPU cores to use (default: all)", "N"},
    {"json", 0, 0, G_OPTION_ARG_NONE, &json, "One JSON object", NULL},
    G_OPTION_ENTRY_NULL,
};

static int run(int argc, char **argv);
const Command command_bench = {
    "bench", "[MODEL]", "Measure decode and prefill speed against the device's limit",
    "A decode step must read the weights once and the live keys and values once, or do its arithmetic: that is its "
    "ceiling, at the rates at which the device reads its memory and multiplies; a share above 100 % means that what a "
    "step reads stays in the caches. MODEL, or --config FILE --random-weights, or --attention-lengths FILE (a GPU's).",
    run};

static double at(const GArray *list, guint index) {
  return g_array_index(list, double, index);
}

static double largest(const GArray *list) {
  double value = 0;
  for (guint i = 0; i < list->len; i++) value = MAX(value, at(list, i));
  return value;
}

/* The share of the ceiling that was reached; "-" where the device's rates are not measured. */
static const char *share_text(double share, char text[16]) {
  if (share > 0)
    g_snprintf(text, 16, "%.1f %%", 100 * share);
  else
    g_strlcpy(text, "-", 16);
  return text;
}

static void print_kernels(const GArray *measured) {
  double total = 0;
  for (guint i = 0; i < measured->len; i++) total += g_array_index(measured, DmsBenchKernel, i).seconds;
  for (guint i = 0; i < measured->len; i++) {
    const DmsBenchKernel *kernel = &g_array_index(measured, DmsBenchKernel, i);
    printf("    %-28s %5d launches %10.1f us %5.1f %%\n", kernel->name, kernel->launches, kernel->seconds * 1e6,
           100 * kernel->seconds / total);
  }
}

static json_t *kernels_json(const GArray *measured) {
  json_t *array = json_array();
  for (guint i = 0; measured && i < measured->len; i++) {
    const DmsBenchKernel *kernel = &g_array_index(measured, DmsBenchKernel, i);
    json_array_append_new(array, json_pack("{s:s, s:i, s:f}", "name", kernel->name, "launches", kernel->launches,
                                           "seconds", kernel->seconds));
  }
  return array;
}

static gboolean decode_rows(DmsBench *bench, const GArray *batch, const GArray *context, const GArray *cr, json_t *out,
                            GError **error) {
  if (!json)
    printf("%6s %8s %6s %9s %8s %10s %12s %9s %8s\n", "batch", "context", "CR", "live", "KV GB", "ms/step", "tokens/s",
           "GB/step", "share");
  for (guint c = 0; c < context->len; c++)
    for (guint r = 0; r < cr->len; r++)
      for (guint b = 0; b < batch->len; b++) {
        DmsBenchDecode row = {0};
        char share[16];
        if (!dms_bench_decode(bench, (int)at(batch, b), (int)at(context, c), at(cr, r), steps, &row, error))
          return FALSE;
        if (!json)
          printf("%6d %8d %6.3g %9.0f %8.3f %10.3f %12.0f %9.3f %8s\n", row.batch, row.context, row.cr, row.live,
                 row.kv_bytes / 1e9, row.seconds_step * 1e3, row.tokens_per_second, row.bytes_step / 1e9,
                 share_text(row.share, share));
        if (!json && kernels && row.kernels) print_kernels(row.kernels);
        if (json)
          json_array_append_new(out, json_pack("{s:i, s:i, s:f, s:i, s:f, s:f, s:f, s:f, s:I, s:f, s:f, s:o}", "batch",
                                               row.batch, "context", row.context, "cr", row.cr, "steps", row.steps,
                                               "live", row.live, "seconds_step", row.seconds_step, "tokens_per_second",
                                               row.tokens_per_second, "bytes_step", row.bytes_step, "kv_bytes",
                                               (json_int_t)row.kv_bytes, "ceiling_seconds", row.ceiling_seconds,
                                               "share", row.share, "kernels", kernels_json(row.kernels)));
        g_clear_pointer(&row.kernels, g_array_unref);
        fflush(stdout);
      }
  return TRUE;
}

static gboolean prefill_rows(DmsBench *bench, const GArray *batch, const GArray *length, json_t *out, GError **error) {
  if (largest(length) == 0) return TRUE;
  if (!json) printf("\n%6s %8s %10s %12s %9s %7s\n", "batch", "prompt", "ms", "tokens/s", "TFLOP", "share");
  for (guint l = 0; l < length->len; l++)
    for (guint b = 0; b < batch->len; b++) {
      DmsBenchPrefill row = {0};
      char share[16];
      if (at(length, l) == 0) continue;
      if (!dms_bench_prefill(bench, (int)at(batch, b), (int)at(length, l), &row, error)) return FALSE;
      if (!json)
        printf("%6d %8d %10.3f %12.0f %9.3f %8s\n", row.batch, row.length, row.seconds * 1e3, row.tokens_per_second,
               row.flops / 1e12, share_text(row.share, share));
      else
        json_array_append_new(out, json_pack("{s:i, s:i, s:f, s:f, s:f, s:f}", "batch", row.batch, "length", row.length,
                                             "seconds", row.seconds, "tokens_per_second", row.tokens_per_second,
                                             "flops", row.flops, "share", row.share));
      fflush(stdout);
    }
  return TRUE;
}

static void print_info(const DmsBenchInfo *info) {
  char weights[16], item[16];
  format_bytes((double)info->weight_bytes, weights, sizeof weights);
  format_bytes((double)info->item_bytes, item, sizeof item);
  printf("%s: opened in %.2f s; a step reads %s of weights, a KV item is %s", info->device, info->seconds_open, weights,
         item);
  if (info->read_rate > 0) printf("; read %.0f GB/s", info->read_rate / 1e9);
  if (info->matrix_rate > 0) printf(", matrix %.1f TFLOP/s", info->matrix_rate / 1e12);
  fputs("\n\n", stdout);
}

static json_t *info_json(const DmsBenchInfo *info) {
  return json_pack("{s:s, s:f, s:I, s:I, s:f, s:f, s:f}", "device", info->device, "seconds_open", info->seconds_open,
                   "weight_bytes", (json_int_t)info->weight_bytes, "item_bytes", (json_int_t)info->item_bytes,
                   "flops_token", info->flops_token, "read_rate", info->read_rate, "matrix_rate", info->matrix_rate);
}

static void print_object(json_t *object) {
  json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  putchar('\n');
  json_decref(object);
}

static gboolean measure_model(DmsBenchOptions *options, GError **error) {
  g_autoptr(GArray) batch = list_parse("batch", batches, 1, 4096, TRUE, error);
  g_autoptr(GArray) context = batch ? list_parse("context", contexts, 1, MOST_TOKENS, TRUE, error) : NULL;
  g_autoptr(GArray) cr = context ? list_parse("cr", ratios, 1, 1024, FALSE, error) : NULL;
  g_autoptr(GArray) prompt = cr ? list_parse("prompt", prompts, 0, MOST_TOKENS, TRUE, error) : NULL;
  if (!prompt) return FALSE;
  options->max_batch = (int)largest(batch);
  /* Room for the timed steps and the warm-up before them. */
  options->max_context = (int)MAX(largest(context) + steps + 64, largest(prompt) + 1);
  DmsBench *bench = dms_bench_open(options, error);
  if (!bench) return FALSE;
  json_t *decode = json_array(), *prefill = json_array();
  if (!json) print_info(dms_bench_info(bench));
  gboolean ok =
      decode_rows(bench, batch, context, cr, decode, error) && prefill_rows(bench, batch, prompt, prefill, error);
  if (ok && json)
    print_object(
        json_pack("{s:o, s:O, s:O}", "info", info_json(dms_bench_info(bench)), "decode", decode, "prefill", prefill));
  json_decref(decode);
  json_decref(prefill);
  dms_bench_close(bench);
  return ok;
}

static gboolean measure_attention(const DmsBenchOptions *options, GError **error) {
  g_autoptr(GArray) rows = dms_bench_attention(options, lengths_file, error);
  if (!rows) return FALSE;
  json_t *array = json_array();
  if (!json) printf("%-34s %5s %12s %10s %9s %7s\n", "case", "batch", "items", "us", "GB/s", "share");
  for (guint i = 0; i < rows->len; i++) {
    const DmsBenchAttention *row = &g_array_index(rows, DmsBenchAttention, i);
    if (!json)
      printf("%-34s %5d %12" G_GUINT64_FORMAT " %10.1f %9.0f %6.1f%%\n", row->name, row->batch, row->items,
             row->seconds * 1e6, row->read_rate / 1e9, 100 * row->share);
    json_array_append_new(array, json_pack("{s:s, s:i, s:i, s:i, s:i, s:I, s:f, s:f, s:f}", "name", row->name,
                                           "head_dim", row->head_dim, "group", row->group, "batch", row->batch,
                                           "kv_heads", row->kv_heads, "items", (json_int_t)row->items, "seconds",
                                           row->seconds, "read_rate", row->read_rate, "share", row->share));
  }
  if (json) print_object(json_pack("{s:O}", "attention", array));
  json_decref(array);
  return TRUE;
}

static gboolean check_options(GError **error) {
  const OptionValue values[] = {
      {"steps", steps, steps >= 1 && steps <= 1 << 20, "1 to 1048576"},
      {"cpu-threads", cpu_threads, cpu_threads >= 0 && cpu_threads <= 1024, "0 (all) to 1024"},
      {"evict-rate", evict_rate, evict_rate >= 0 && evict_rate < 1 && (random_weights || evict_rate == 0),
       "0 to below 1, with --random-weights"},
  };
  if (kernels && (!device || g_str_equal(device, "cpu"))) {
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--kernels belongs to --device cuda");
    return FALSE;
  }
  return values_check(values, G_N_ELEMENTS(values), error);
}

static int run(int argc, char **argv) {
  GError *error = NULL;
  DmsBenchOptions options = {0};
  if (!options_parse(&command_bench, entries, 0, 1, &argc, &argv)) return EXIT_USAGE;
  if ((argc > 1) + (config != NULL) + (lengths_file != NULL) != 1 || random_weights != (config != NULL)) {
    fputs("hyperscale bench: give one of MODEL, --config FILE --random-weights, or --attention-lengths FILE\n"
          "Try 'hyperscale bench --help'.\n",
          stderr);
    return EXIT_USAGE;
  }
  if (!check_options(&error)) return command_fail(&command_bench, error);
  options.cpu_threads = cpu_threads;
  options.config_path = config;
  options.evict_rate = evict_rate;
  g_autofree char *dir = argc > 1 ? dataset_model_dir(argv[1], &error) : NULL;
  options.model_dir = dir;
  gboolean ok = !error && device_parse(device, &options.device, &options.device_index, &error) &&
                precision_parse(precision, &options.precision, &error) &&
                (lengths_file ? measure_attention(&options, &error) : measure_model(&options, &error));
  return ok ? EXIT_DONE : command_fail(&command_bench, error);
}
