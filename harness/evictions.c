/* Eviction flags of stored threads, by running them through their model once more. */
#include "harness/evictions.h"

#include <string.h>

#include "datasets/dataset.h"
#include "harness/plan.h"

typedef struct {
  gint64 method;
  int count;
  GPtrArray *problems; /* char *: the first `count` that have a thread 0 */
} Pick;

static gboolean pick_thread(const ResultsThread *thread, gpointer user_data) {
  Pick *pick = user_data;
  if (thread->method == pick->method && thread->thread == 0)
    g_ptr_array_add(pick->problems, g_strdup(thread->problem_id));
  return (int)pick->problems->len < pick->count;
}

static gboolean add_thread(GArray *evictions, DmsEngine *engine, ResultsStore *store,
                           const struct ResultsMethodInfo *method, const char *task, const char *problem,
                           GError **error) {
  ResultsText text = {0};
  const DmsModelInfo *model = dms_engine_model(engine);
  if (!results_text(store, method->id, task, problem, 0, &text, error)) return FALSE;
  int tokens = text.prompt_length + text.n_tokens;
  gboolean ok = TRUE;
  if (text.prompt && text.tokens && tokens > 0) {
    g_autofree int32_t *ids = g_new(int32_t, tokens);
    uint8_t *flags = g_malloc((gsize)model->layers * model->kv_heads * tokens);
    memcpy(ids, text.prompt, text.prompt_length * sizeof *ids);
    memcpy(ids + text.prompt_length, text.tokens, text.n_tokens * sizeof *ids);
    ok = dms_engine_forward(engine, ids, tokens, NULL, flags, NULL, error);
    ReportEviction eviction = {.method = method->name,
                               .task = g_strdup(task),
                               .problem_id = g_strdup(problem),
                               .cr = method->cr,
                               .layers = model->layers,
                               .kv_heads = model->kv_heads,
                               .tokens = tokens,
                               .prompt_length = text.prompt_length,
                               .window = model->dms_window,
                               .flags = flags};
    g_array_append_val(evictions, eviction);
  }
  results_text_clear(&text);
  return ok;
}

static DmsEngine *open_model(const struct ResultsMethodInfo *method, DmsDevice device, int device_index,
                             GError **error) {
  g_autofree char *dir = dataset_model_dir(method->model, error);
  g_autofree char *fingerprint = dir ? dms_model_fingerprint(dir, error) : NULL;
  if (!fingerprint) return NULL;
  if (!g_str_equal(fingerprint, method->fingerprint)) {
    g_set_error(
        error, PLAN_ERROR, PLAN_ERROR_VALUE,
        "%s: its files are not those of the run (fingerprint %.12s, the run's %.12s); put the run's model there, "
        "or leave out --evictions",
        dir, fingerprint, method->fingerprint);
    return NULL;
  }
  DmsEngineOptions options = {.model_dir = dir,
                              .device = device,
                              .device_index = device_index,
                              .policy = {.kind = DMS_POLICY_DMS},
                              .max_sequences = 1};
  return dms_engine_open(&options, error);
}

static gboolean add_method(GArray *evictions, ResultsStore *store, const ResultsSummary *summary,
                           const struct ResultsMethodInfo *method, int count, DmsDevice device, int device_index,
                           GError **error) {
  DmsEngine *engine = open_model(method, device, device_index, error);
  gboolean ok = engine != NULL;
  for (guint t = 0; ok && t < summary->n_tasks; t++) {
    Pick pick = {method->id, count, g_ptr_array_new_with_free_func(g_free)};
    ok = results_threads(store, summary->run, summary->task[t].name, NULL, pick_thread, &pick, error);
    for (guint i = 0; ok && i < pick.problems->len; i++)
      ok = add_thread(evictions, engine, store, method, summary->task[t].name, pick.problems->pdata[i], error);
    g_ptr_array_unref(pick.problems);
  }
  dms_engine_close(engine);
  return ok;
}

static void eviction_clear(gpointer data) {
  ReportEviction *eviction = data;
  g_free((char *)eviction->task);
  g_free((char *)eviction->problem_id);
  g_free((uint8_t *)eviction->flags);
}

GArray *evictions_collect(ResultsStore *store, const ResultsSummary *summary, int count, DmsDevice device,
                          int device_index, GError **error) {
  GArray *evictions = g_array_new(FALSE, FALSE, sizeof(ReportEviction));
  g_array_set_clear_func(evictions, eviction_clear);
  for (guint m = 0; count > 0 && m < summary->n_methods; m++) {
    if (!g_str_has_prefix(summary->method[m].policy, "dms")) continue;
    if (add_method(evictions, store, summary, &summary->method[m], count, device, device_index, error)) continue;
    evictions_free(evictions);
    return NULL;
  }
  return evictions;
}

void evictions_free(GArray *evictions) {
  if (evictions) g_array_unref(evictions);
}
