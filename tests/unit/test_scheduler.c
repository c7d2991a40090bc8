/* The batch loop on a backend that is made up: memory is a number of pages, a token is a function of its place,
 * results lag. The backend checks the contract of backend.h from its side; the tests check that every sequence gets
 * exactly its own tokens. */
#include "engine/scheduler.h"

#include <string.h>

enum { PAGE = 4, SLOTS = 64, LAG = 3 }; /* items of a page */

typedef struct {
  gboolean used, forked;
  int32_t prompt_id, prompt_length, position, taken;
  int pages;
  DmsSampler sampler;
} Slot;

struct DmsBackend {
  Slot slots[SLOTS];
  int n_slots, free_pages, all_pages;
  DmsStepResult results[LAG + 1][SLOTS];
  int n[LAG + 1], first, outstanding;
  int pending_release; /* pages that come back when outstanding steps are done */
  int most_running, stalls;
};

static int latency; /* of the backend in use */

static gboolean take_pages(DmsBackend *backend, Slot *slot, int tokens) {
  int wanted = (tokens + PAGE - 1) / PAGE;
  if (wanted - slot->pages > backend->free_pages) return FALSE;
  backend->free_pages -= wanted - slot->pages;
  slot->pages = wanted;
  return TRUE;
}

static void release(DmsBackend *backend, int slot) {
  backend->free_pages += backend->slots[slot].pages;
  backend->slots[slot] = (Slot){0};
}

static gboolean prefill(DmsBackend *backend, const DmsPrefill *prompts, int n, uint64_t *reads, GError **error) {
  for (int i = 0; i < n; i++) {
    Slot *slot = &backend->slots[prompts[i].slot];
    g_assert_cmpint(prompts[i].slot, <, backend->n_slots);
    g_assert_false(slot->used);
    if (!take_pages(backend, slot, prompts[i].length)) {
      for (int p = 0; p <= i; p++) release(backend, prompts[p].slot);
      g_set_error_literal(error, DMS_ERROR, DMS_ERROR_MEMORY, "no pages");
      return FALSE;
    }
    *slot = (Slot){.used = TRUE,
                   .prompt_id = prompts[i].ids[0],
                   .prompt_length = prompts[i].length,
                   .position = prompts[i].length,
                   .pages = slot->pages};
    reads[i] = (uint64_t)prompts[i].length;
  }
  return TRUE;
}

static gboolean fork_slot(DmsBackend *backend, int from, int to, const DmsSampler *sampler, GError **error) {
  Slot *source = &backend->slots[from], *slot = &backend->slots[to];
  g_assert_true(source->used && !source->forked);
  if (from != to) {
    g_assert_false(slot->used);
    if (!take_pages(backend, slot, source->position)) {
      g_set_error_literal(error, DMS_ERROR, DMS_ERROR_MEMORY, "no pages");
      return FALSE;
    }
    int pages = slot->pages;
    *slot = *source, slot->pages = pages;
  }
  slot->forked = TRUE, slot->sampler = *sampler;
  return TRUE;
}

/* What the model says: the token number `index` of a thread of a prompt. */
static int32_t token_at(int32_t prompt_id, uint32_t thread, int32_t index) {
  return (int32_t)(((uint32_t)prompt_id * 2654435761u + thread * 40503u + (uint32_t)index * 97u) >> 8 & 0xff);
}

static gboolean step(DmsBackend *backend, const DmsStepEntry *entries, int n, GError **error) {
  g_assert_cmpint(backend->outstanding, <=, latency);
  int at = (backend->first + backend->outstanding++) % (LAG + 1);
  backend->n[at] = n;
  backend->most_running = MAX(backend->most_running, n);
  for (int i = 0; i < n; i++) {
    Slot *slot = &backend->slots[entries[i].slot];
    DmsStepResult *result = &backend->results[at][i];
    g_assert_true(slot->used && slot->forked);
    for (int j = 0; j < i; j++) g_assert_cmpint(entries[j].slot, !=, entries[i].slot);
    *result = (DmsStepResult){entries[i].slot, DMS_TOKEN_STALLED, (uint64_t)slot->position};
    if (entries[i].index != slot->taken) continue;
    int32_t token = token_at(slot->prompt_id, slot->sampler.thread, slot->taken);
    if (entries[i].forced >= 0) g_assert_cmpint(entries[i].forced, ==, token);
    if (!entries[i].last && !take_pages(backend, slot, slot->position + 1)) {
      backend->stalls++;
      continue;
    }
    result->token = token, slot->taken++;
    if (!entries[i].last) slot->position++;
  }
  return TRUE;
}

static gboolean collect(DmsBackend *backend, DmsStepResult *results, int *n, GError **error) {
  g_assert_cmpint(backend->outstanding, >, 0);
  *n = backend->n[backend->first];
  memcpy(results, backend->results[backend->first], (gsize)*n * sizeof *results);
  backend->first = (backend->first + 1) % (LAG + 1), backend->outstanding--;
  return TRUE;
}

static void memory(DmsBackend *backend, DmsMemory *out) {
  *out = (DmsMemory){(gsize)backend->all_pages * PAGE, (gsize)(backend->all_pages - backend->free_pages) * PAGE, PAGE,
                     PAGE};
}

/* ---- Runs ---- */

typedef struct {
  int32_t prompt;
  int prompt_length, threads, length, ended, failed;
} Job;

static void check(const DmsCompletion *completion, gpointer data) {
  Job *job = completion->tag;
  job->ended++;
  if (completion->finish == DMS_FINISH_ERROR) {
    job->failed++;
    g_assert_nonnull(completion->message);
    return;
  }
  int n = 0;
  while (n < job->length && (n == 0 || token_at(job->prompt, (uint32_t)completion->thread, n - 1) != 7)) n++;
  g_assert_cmpint(completion->n_tokens, ==, n);
  for (int i = 0; i < n; i++) {
    g_assert_cmpint(completion->tokens[i], ==, token_at(job->prompt, (uint32_t)completion->thread, i));
    g_assert_cmpuint(completion->live[i], ==, (guint64)(job->prompt_length + i));
  }
  gboolean stopped = completion->tokens[n - 1] == 7;
  g_assert_cmpint(completion->finish, ==, stopped ? DMS_FINISH_STOP : DMS_FINISH_LENGTH);
}

typedef struct {
  int stalls, preemptions, most_running, failed;
} Outcome;

static Outcome run(int lag, int max_sequences, int pages, Job *jobs, int n_jobs, gboolean trickle) {
  g_autoptr(GError) error = NULL;
  DmsBackend backend = {.n_slots = dms_scheduler_slots(max_sequences), .free_pages = pages, .all_pages = pages};
  DmsModel model = {.config = {.layers = 1, .kv_heads = 1, .stop_tokens = g_array_new(FALSE, FALSE, sizeof(int32_t))}};
  int32_t stop = 7;
  g_array_append_val(model.config.stop_tokens, stop);
  DmsBackendOptions options = {.model = &model, .window_sinks = -1};
  DmsBackendOps ops = {.latency = lag,
                       .prefill = prefill,
                       .fork = fork_slot,
                       .step = step,
                       .collect = collect,
                       .release = release,
                       .memory = memory};
  latency = lag;
  DmsScheduler *scheduler = dms_scheduler_new(&ops, &backend, &options, max_sequences);
  int32_t ids[64];
  for (int j = 0; j < n_jobs; j++) {
    Job *job = &jobs[j];
    job->ended = job->failed = 0;
    for (int i = 0; i < 64; i++) ids[i] = job->prompt;
    DmsRequest request = {.prompt = ids,
                          .prompt_length = job->prompt_length,
                          .threads = job->threads,
                          .max_new_tokens = job->length,
                          .sampling = {1, 1, 0},
                          .tag = job};
    dms_scheduler_submit(scheduler, &request);
    for (int i = 0; trickle && i < 3; i++) g_assert_true(dms_scheduler_step(scheduler, check, NULL, &error));
  }
  int steps = 0;
  for (; dms_scheduler_pending(scheduler); steps++) {
    g_assert_true(dms_scheduler_step(scheduler, check, NULL, &error));
    g_assert_cmpint(steps, <, 100000);
  }
  DmsEngineStats stats = {0};
  dms_scheduler_stats(scheduler, &stats);
  Outcome outcome = {backend.stalls, (int)stats.preemptions, backend.most_running, 0};
  for (int j = 0; j < n_jobs; j++) {
    g_assert_cmpint(jobs[j].ended, ==, jobs[j].threads);
    outcome.failed += jobs[j].failed;
  }
  for (int i = 0; i < backend.n_slots; i++) g_assert_false(backend.slots[i].used);
  g_assert_cmpint(backend.free_pages, ==, pages);
  dms_scheduler_free(scheduler);
  g_array_unref(model.config.stop_tokens);
  return outcome;
}

/* Loads of all kinds, on all latencies, on little memory: each ends, with its own tokens. */
static void test_random_loads(void) {
  g_autoptr(GRand) random = g_rand_new_with_seed(5);
  int preemptions = 0, stalls = 0;
  for (int round = 0; round < 400; round++) {
    Job jobs[12];
    int n = g_rand_int_range(random, 1, 13), longest = 0;
    for (int j = 0; j < n; j++) {
      jobs[j] = (Job){.prompt = g_rand_int_range(random, 0, 1 << 20),
                      .prompt_length = g_rand_int_range(random, 1, 40),
                      .threads = g_rand_int_range(random, 1, 9),
                      .length = g_rand_int_range(random, 1, 80)};
      longest = MAX(longest, jobs[j].prompt_length + jobs[j].length);
    }
    int pages = (longest + PAGE - 1) / PAGE + (round % 3 == 0 ? 0 : g_rand_int_range(random, 0, 100));
    Outcome outcome = run(round % (LAG + 1), g_rand_int_range(random, 1, SLOTS), pages, jobs, n, round % 2);
    g_assert_cmpint(outcome.failed, ==, 0);
    preemptions += outcome.preemptions, stalls += outcome.stalls;
  }
  g_test_message("%d stalls, %d preemptions", stalls, preemptions);
  g_assert_cmpint(preemptions, >, 100);
}

/* One that cannot fit alone fails alone. */
static void test_too_large(void) {
  for (int lag = 0; lag <= LAG; lag++) {
    Job jobs[] = {{1, 10, 3, 60, 0, 0}, {2, 30, 2, 5, 0, 0}, {3, 4, 4, 8, 0, 0}};
    run(lag, 4, 5, jobs, G_N_ELEMENTS(jobs), FALSE);
    g_assert_cmpint(jobs[0].failed, ==, 3); /* 10 tokens fit, 69 do not */
    g_assert_cmpint(jobs[1].failed, ==, 2); /* 30 do not */
    g_assert_cmpint(jobs[2].failed, ==, 0);
  }
}

/* Everything runs together where there is room: W threads, one prefill. */
static void test_fills_the_batch(void) {
  Job jobs[] = {{1, 10, 20, 30, 0, 0}, {2, 10, 20, 30, 0, 0}};
  Outcome outcome = run(1, 40, 1000, jobs, G_N_ELEMENTS(jobs), FALSE);
  g_assert_cmpint(outcome.most_running, ==, 40);
  g_assert_cmpint(outcome.stalls, ==, 0);
  outcome = run(0, 7, 1000, jobs, G_N_ELEMENTS(jobs), FALSE);
  g_assert_cmpint(outcome.most_running, ==, 7);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/scheduler/random-loads", test_random_loads);
  g_test_add_func("/scheduler/too-large", test_too_large);
  g_test_add_func("/scheduler/fills-the-batch", test_fills_the_batch);
  return g_test_run();
}
