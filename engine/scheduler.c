/* The batch loop. Each step: admit, issue one step for all that run, collect the oldest step that is due, hand over
 * what ended. */
#include "engine/scheduler.h"

#include "engine/admission.h"

#include <string.h>

enum { MAX_LATENCY = 3 };
/* Tokens of prompts prefilled between two steps: enough to fill a device, few enough not to hold the others up. */
enum { PREFILL_TOKENS = 4096 };

/* A prompt, shared by its threads. */
typedef struct {
  int32_t *ids; /* [length] */
  int length, max_new_tokens;
  DmsSampler sampler; /* but for the thread */
  void *tag;
  int waiting; /* threads in the queue */
  int pending; /* threads not handed over yet: the prompt is freed with the last */
  int slot;    /* where it lies prefilled while threads wait to be forked from it; -1: nowhere */
  uint64_t reads;
  double seconds;
} Prompt;

/* One thread. */
typedef struct {
  Prompt *prompt;
  uint32_t thread;
  GArray *tokens;   /* int32_t */
  GArray *live;     /* uint64_t */
  int slot;         /* -1: waiting */
  int issued;       /* steps asked of the slot: its next token's number */
  int collected;    /* tokens that the slot is known to have taken; behind tokens->len while it is replayed */
  int outstanding;  /* steps issued and not collected */
  gboolean stalled; /* waits for outstanding steps before it tries again */
  gint64 started;   /* microseconds, when its first token was asked for; 0: not yet */
  double seconds;   /* its share of the device */
} Sequence;

/* The sequences of one step that was issued; NULL: ended or preempted since. */
typedef struct {
  Sequence **sequences;
  int n;
  uint64_t releases; /* of slots, until it was issued */
} Batch;

typedef struct {
  Sequence *sequence;
  DmsFinish finish;
  char *message;
} Ended;

struct DmsScheduler {
  const DmsBackendOps *ops;
  DmsBackend *backend;
  const DmsConfig *config;
  int max_sequences;
  GQueue waiting;                 /* Sequence *, the oldest first; all younger than those that run */
  GPtrArray *running;             /* Sequence *, the oldest first */
  GArray *free_slots;             /* int */
  uint64_t releases;              /* slots given back so far */
  Batch batches[MAX_LATENCY + 1]; /* a ring: [first_batch, first_batch + n_batches) are issued */
  int first_batch, n_batches;
  DmsStepEntry *entries;  /* [max_sequences] */
  DmsStepResult *results; /* [max_sequences + 1] */
  GArray *ended;          /* Ended, to be handed over */
  DmsAdmission admission;
  gboolean hold; /* after a preemption nothing is admitted until a sequence has ended */
  DmsEngineStats stats;
};

int dms_scheduler_slots(int max_sequences) {
  return max_sequences + 1;
}

static void sequence_free(Sequence *sequence) {
  Prompt *prompt = sequence->prompt;
  if (--prompt->pending == 0) {
    g_free(prompt->ids);
    g_free(prompt);
  }
  g_array_unref(sequence->tokens);
  g_array_unref(sequence->live);
  g_free(sequence);
}

DmsScheduler *dms_scheduler_new(const DmsBackendOps *ops, DmsBackend *backend, const DmsBackendOptions *options,
                                int max_sequences) {
  g_assert(ops->latency <= MAX_LATENCY);
  DmsScheduler *scheduler = g_new0(DmsScheduler, 1);
  scheduler->ops = ops, scheduler->backend = backend, scheduler->config = &options->model->config;
  scheduler->max_sequences = max_sequences;
  g_queue_init(&scheduler->waiting);
  scheduler->running = g_ptr_array_new();
  scheduler->free_slots = g_array_new(FALSE, FALSE, sizeof(int));
  for (int i = dms_scheduler_slots(max_sequences) - 1; i >= 0; i--) g_array_append_val(scheduler->free_slots, i);
  for (int i = 0; i <= MAX_LATENCY; i++) scheduler->batches[i].sequences = g_new(Sequence *, max_sequences);
  scheduler->entries = g_new(DmsStepEntry, max_sequences);
  scheduler->results = g_new(DmsStepResult, dms_scheduler_slots(max_sequences));
  scheduler->ended = g_array_new(FALSE, FALSE, sizeof(Ended));
  DmsMemory memory;
  ops->memory(backend, &memory);
  dms_admission_init(&scheduler->admission, options, &memory);
  scheduler->stats.kv_bytes_total = memory.bytes_total;
  return scheduler;
}

void dms_scheduler_free(DmsScheduler *scheduler) {
  if (!scheduler) return;
  for (guint i = 0; i < scheduler->running->len; i++) sequence_free(scheduler->running->pdata[i]);
  for (GList *link = scheduler->waiting.head; link; link = link->next) sequence_free(link->data);
  for (guint i = 0; i < scheduler->ended->len; i++) {
    Ended *ended = &g_array_index(scheduler->ended, Ended, i);
    sequence_free(ended->sequence);
    g_free(ended->message);
  }
  g_queue_clear(&scheduler->waiting);
  g_ptr_array_unref(scheduler->running);
  g_array_unref(scheduler->free_slots);
  g_array_unref(scheduler->ended);
  for (int i = 0; i <= MAX_LATENCY; i++) g_free(scheduler->batches[i].sequences);
  g_free(scheduler->entries);
  g_free(scheduler->results);
  g_free(scheduler);
}

void dms_scheduler_submit(DmsScheduler *scheduler, const DmsRequest *request) {
  Prompt *prompt = g_new(Prompt, 1);
  *prompt = (Prompt){
      .ids = g_memdup2(request->prompt, request->prompt_length * sizeof *request->prompt),
      .length = request->prompt_length,
      .max_new_tokens = request->max_new_tokens,
      .sampler = {request->sampling.temperature, request->sampling.top_p, request->sampling.top_k, 0,
                  dms_seed_key(request->seed.seed, request->seed.task ? request->seed.task : "",
                               request->seed.problem ? request->seed.problem : "")},
      .tag = request->tag,
      .waiting = request->threads,
      .pending = request->threads,
      .slot = -1,
  };
  for (int i = 0; i < request->threads; i++) {
    Sequence *sequence = g_new(Sequence, 1);
    *sequence = (Sequence){.prompt = prompt,
                           .thread = (uint32_t)(request->first_thread + i),
                           .slot = -1,
                           .tokens = g_array_new(FALSE, FALSE, sizeof(int32_t)),
                           .live = g_array_new(FALSE, FALSE, sizeof(uint64_t))};
    g_queue_push_tail(&scheduler->waiting, sequence);
  }
}

int dms_scheduler_pending(const DmsScheduler *scheduler) {
  return (int)(scheduler->running->len + scheduler->waiting.length + scheduler->ended->len);
}

/* ---- Slots ---- */

static int take_slot(DmsScheduler *scheduler) {
  int slot = g_array_index(scheduler->free_slots, int, scheduler->free_slots->len - 1);
  g_array_set_size(scheduler->free_slots, scheduler->free_slots->len - 1);
  return slot;
}

static void give_slot(DmsScheduler *scheduler, int *slot) {
  scheduler->ops->release(scheduler->backend, *slot);
  g_array_append_val(scheduler->free_slots, *slot);
  scheduler->releases++;
  *slot = -1;
}

/* Takes a sequence that runs out of its slot and out of the steps that are still under way. */
static void stop_running(DmsScheduler *scheduler, Sequence *sequence) {
  g_ptr_array_remove(scheduler->running, sequence);
  give_slot(scheduler, &sequence->slot);
  for (int b = 0; b < scheduler->n_batches; b++) {
    Batch *batch = &scheduler->batches[(scheduler->first_batch + b) % (MAX_LATENCY + 1)];
    for (int i = 0; i < batch->n; i++)
      if (batch->sequences[i] == sequence) batch->sequences[i] = NULL;
  }
}

/* To be handed over at the end of the step. `message` is taken over. */
static void end_sequence(DmsScheduler *scheduler, Sequence *sequence, DmsFinish finish, char *message) {
  if (sequence->slot >= 0) stop_running(scheduler, sequence);
  Ended ended = {sequence, finish, message};
  g_array_append_val(scheduler->ended, ended);
  scheduler->hold = FALSE;
  if (finish != DMS_FINISH_ERROR)
    dms_admission_ended(&scheduler->admission, sequence->prompt->length + (int)sequence->tokens->len - 1,
                        (int)sequence->tokens->len, g_array_index(sequence->live, uint64_t, sequence->live->len - 1));
}

/* ---- Admission ---- */

static DmsDemand demand_of(const Sequence *sequence, int in_cache) {
  int generated = (int)sequence->tokens->len;
  return (DmsDemand){in_cache, generated, sequence->prompt->max_new_tokens - generated};
}

/* How many of the waiting sequences to let in now. */
static int count_admissible(DmsScheduler *scheduler) {
  int running = (int)scheduler->running->len, n = 0, tokens = 0;
  if (running == scheduler->max_sequences || (scheduler->hold && running > 0)) return 0;
  g_autofree DmsDemand *demands = g_new(DmsDemand, scheduler->max_sequences);
  for (int i = 0; i < running; i++) {
    const Sequence *sequence = scheduler->running->pdata[i];
    demands[i] = demand_of(sequence, sequence->prompt->length + (int)sequence->tokens->len);
  }
  const Prompt *last = NULL;
  for (GList *link = scheduler->waiting.head; link && running + n < scheduler->max_sequences; link = link->next, n++) {
    const Sequence *sequence = link->data;
    int replayed = sequence->prompt->length + (int)sequence->tokens->len;
    if (sequence->prompt != last && sequence->prompt->slot < 0) tokens += sequence->prompt->length;
    if (n > 0 && tokens > PREFILL_TOKENS) break;
    demands[running + n] = demand_of(sequence, replayed);
    if (running + n > 0 && !dms_admission_fits(&scheduler->admission, demands, running + n + 1)) break;
    last = sequence->prompt;
  }
  return n;
}

/* Prefills the prompts of the first `n` waiting sequences that are nowhere yet. On failure nothing has changed. */
static gboolean prefill(DmsScheduler *scheduler, int n, GError **error) {
  g_autofree DmsPrefill *prefills = g_new(DmsPrefill, n);
  g_autofree Prompt **prompts = g_new(Prompt *, n);
  g_autofree uint64_t *reads = g_new0(uint64_t, n);
  int n_prompts = 0;
  uint64_t tokens = 0;
  GList *link = scheduler->waiting.head;
  for (int i = 0; i < n; i++, link = link->next) {
    Prompt *prompt = ((Sequence *)link->data)->prompt;
    if (prompt->slot >= 0) continue;
    prompt->slot = take_slot(scheduler);
    prefills[n_prompts] = (DmsPrefill){prompt->slot, prompt->ids, prompt->length};
    prompts[n_prompts++] = prompt;
    tokens += (uint64_t)prompt->length;
  }
  if (n_prompts == 0) return TRUE;
  gint64 start = g_get_monotonic_time();
  if (!scheduler->ops->prefill(scheduler->backend, prefills, n_prompts, reads, error)) {
    for (int i = 0; i < n_prompts; i++) give_slot(scheduler, &prompts[i]->slot);
    return FALSE;
  }
  double seconds = (double)(g_get_monotonic_time() - start) / 1e6;
  for (int i = 0; i < n_prompts; i++) {
    prompts[i]->reads = reads[i];
    prompts[i]->seconds = seconds * prompts[i]->length / (double)tokens;
  }
  scheduler->stats.seconds_prefill += seconds, scheduler->stats.prefilled_tokens += tokens;
  return TRUE;
}

/* Gives the first waiting sequence a slot: a copy of its prompt's; or the prompt's itself, for the last thread and
 * where there is no memory for a copy (`take_over`: the other threads' prompt is prefilled again). */
static gboolean start_first(DmsScheduler *scheduler, gboolean take_over, GError **error) {
  Sequence *sequence = g_queue_peek_head(&scheduler->waiting);
  Prompt *prompt = sequence->prompt;
  DmsSampler sampler = prompt->sampler;
  sampler.thread = sequence->thread;
  take_over |= prompt->waiting == 1;
  int slot = take_over ? prompt->slot : take_slot(scheduler);
  if (!scheduler->ops->fork(scheduler->backend, prompt->slot, slot, &sampler, error)) {
    if (!take_over) give_slot(scheduler, &slot);
    return FALSE;
  }
  if (take_over) prompt->slot = -1;
  prompt->waiting--;
  g_queue_pop_head(&scheduler->waiting);
  sequence->slot = slot, sequence->issued = sequence->collected = sequence->outstanding = 0, sequence->stalled = FALSE;
  g_ptr_array_add(scheduler->running, sequence);
  return TRUE;
}

/* The first prompt's threads cannot run even with the memory to themselves. */
static void fail_first_prompt(DmsScheduler *scheduler, const char *message) {
  Prompt *prompt = ((Sequence *)g_queue_peek_head(&scheduler->waiting))->prompt;
  if (prompt->slot >= 0) give_slot(scheduler, &prompt->slot);
  for (int n = prompt->waiting; n > 0; n--)
    end_sequence(scheduler, g_queue_pop_head(&scheduler->waiting), DMS_FINISH_ERROR, g_strdup(message));
  prompt->waiting = 0;
}

/* Gives up the prompts that were prefilled in vain; the first may stay, there is a slot for it. */
static void drop_prefilled(DmsScheduler *scheduler) {
  GList *link = scheduler->waiting.head;
  const Prompt *first = link ? ((Sequence *)link->data)->prompt : NULL;
  for (; link; link = link->next) {
    Prompt *prompt = ((Sequence *)link->data)->prompt;
    if (prompt != first && prompt->slot >= 0) give_slot(scheduler, &prompt->slot);
  }
}

static gboolean is_memory(const GError *error) {
  return g_error_matches(error, DMS_ERROR, DMS_ERROR_MEMORY);
}

static gboolean admit(DmsScheduler *scheduler, GError **error) {
  int n = scheduler->waiting.length ? count_admissible(scheduler) : 0;
  if (n == 0) return TRUE;
  g_autoptr(GError) problem = NULL;
  gboolean prefilled = prefill(scheduler, n, &problem);
  if (!prefilled && n > 1 && is_memory(problem)) {
    g_clear_error(&problem);
    prefilled = prefill(scheduler, n = 1, &problem);
  }
  while (prefilled && n > 0 && start_first(scheduler, FALSE, &problem)) n--;
  if (prefilled && n > 0 && is_memory(problem) && scheduler->running->len == 0) {
    g_clear_error(&problem);
    start_first(scheduler, TRUE, &problem);
  }
  if (n > 0) drop_prefilled(scheduler);
  if (!problem) return TRUE;
  if (!is_memory(problem)) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  if (scheduler->running->len > 0)
    scheduler->hold = TRUE;
  else
    fail_first_prompt(scheduler, problem->message);
  return TRUE;
}

/* ---- Steps ---- */

static gboolean issue(DmsScheduler *scheduler, GError **error) {
  Batch *batch = &scheduler->batches[(scheduler->first_batch + scheduler->n_batches) % (MAX_LATENCY + 1)];
  gint64 now = g_get_monotonic_time();
  batch->n = 0, batch->releases = scheduler->releases;
  for (guint i = 0; i < scheduler->running->len; i++) {
    Sequence *sequence = scheduler->running->pdata[i];
    if (sequence->stalled || sequence->issued == sequence->prompt->max_new_tokens) continue;
    gboolean replay = sequence->issued < (int)sequence->tokens->len;
    scheduler->entries[batch->n] = (DmsStepEntry){
        .slot = sequence->slot,
        .index = sequence->issued,
        .forced = replay ? g_array_index(sequence->tokens, int32_t, sequence->issued) : -1,
        .last = sequence->issued + 1 == sequence->prompt->max_new_tokens,
    };
    batch->sequences[batch->n++] = sequence;
    sequence->issued++, sequence->outstanding++;
    if (!sequence->started) sequence->started = now;
  }
  if (batch->n == 0) return TRUE;
  scheduler->n_batches++, scheduler->stats.steps++;
  return scheduler->ops->step(scheduler->backend, scheduler->entries, batch->n, error);
}

static gboolean is_stop(const DmsConfig *config, int32_t token) {
  for (guint i = 0; i < config->stop_tokens->len; i++)
    if (g_array_index(config->stop_tokens, int32_t, i) == token) return TRUE;
  return FALSE;
}

static void take_token(DmsScheduler *scheduler, Sequence *sequence, const DmsStepResult *result) {
  if (sequence->collected++ < (int)sequence->tokens->len) return; /* replayed */
  g_array_append_val(sequence->tokens, result->token);
  g_array_append_val(sequence->live, result->live);
  scheduler->stats.generated_tokens++;
  if (is_stop(scheduler->config, result->token))
    end_sequence(scheduler, sequence, DMS_FINISH_STOP, NULL);
  else if ((int)sequence->tokens->len == sequence->prompt->max_new_tokens)
    end_sequence(scheduler, sequence, DMS_FINISH_LENGTH, NULL);
}

/* Takes the results of the oldest step; *dry: the memory ran out for one of its sequences, and none was given back
 * since. `start`: when the device's time began that is shared out among them. */
static gboolean collect(DmsScheduler *scheduler, gint64 start, gboolean *dry, GError **error) {
  int n, stalls = 0;
  if (!scheduler->ops->collect(scheduler->backend, scheduler->results, &n, error)) return FALSE;
  Batch *batch = &scheduler->batches[scheduler->first_batch];
  g_assert(n == batch->n);
  double share = (double)(g_get_monotonic_time() - start) / 1e6 / n;
  scheduler->first_batch = (scheduler->first_batch + 1) % (MAX_LATENCY + 1), scheduler->n_batches--;
  for (int i = 0; i < n; i++) {
    Sequence *sequence = batch->sequences[i];
    const DmsStepResult *result = &scheduler->results[i];
    if (!sequence) continue;
    sequence->outstanding--, sequence->seconds += share;
    if (result->token >= 0) {
      take_token(scheduler, sequence, result);
    } else if (result->token == DMS_TOKEN_INVALID) {
      end_sequence(scheduler, sequence, DMS_FINISH_ERROR,
                   g_strdup_printf("the logits for token %d are NaN or infinite", sequence->collected));
    } else {
      if (!sequence->stalled) stalls++;
      sequence->stalled = sequence->outstanding > 0;
      if (!sequence->stalled) sequence->issued = sequence->collected;
    }
  }
  *dry = stalls > 0 && batch->releases == scheduler->releases;
  return TRUE;
}

/* Makes room: a prompt that only waits for threads goes first, then the youngest sequence. */
static void preempt(DmsScheduler *scheduler) {
  Sequence *first = g_queue_peek_head(&scheduler->waiting);
  if (first && first->prompt->slot >= 0) {
    give_slot(scheduler, &first->prompt->slot);
    scheduler->hold = TRUE;
    return;
  }
  Sequence *youngest = scheduler->running->pdata[scheduler->running->len - 1];
  if (scheduler->running->len == 1) {
    end_sequence(
        scheduler, youngest, DMS_FINISH_ERROR,
        g_strdup_printf("the KV memory of %" G_GSIZE_FORMAT " bytes does not hold this sequence after %d tokens",
                        scheduler->stats.kv_bytes_total, youngest->prompt->length + (int)youngest->tokens->len));
    return;
  }
  stop_running(scheduler, youngest);
  youngest->prompt->waiting++;
  g_queue_push_head(&scheduler->waiting, youngest);
  dms_admission_preempted(&scheduler->admission);
  scheduler->stats.preemptions++;
  scheduler->hold = TRUE;
}

static void hand_over(DmsScheduler *scheduler, DmsCompletionFunc done, gpointer user_data) {
  if (scheduler->ended->len == 0) return;
  g_autoptr(GArray) ended = scheduler->ended;
  scheduler->ended = g_array_new(FALSE, FALSE, sizeof(Ended)); /* `done` may submit, and look at what is pending */
  gint64 now = g_get_monotonic_time();
  for (guint i = 0; i < ended->len; i++) {
    Ended *end = &g_array_index(ended, Ended, i);
    const Sequence *sequence = end->sequence;
    DmsCompletion completion = {
        .tag = sequence->prompt->tag,
        .thread = (int)sequence->thread,
        .tokens = (const int32_t *)sequence->tokens->data,
        .n_tokens = (int)sequence->tokens->len,
        .finish = end->finish,
        .message = end->message,
        .live = (const uint64_t *)sequence->live->data,
        .prefill_reads = sequence->prompt->reads,
        .seconds_prefill = sequence->prompt->seconds,
        .seconds_decode = sequence->started ? (double)(now - sequence->started) / 1e6 : 0,
        .seconds_device = sequence->seconds,
    };
    if (done) done(&completion, user_data);
    sequence_free(end->sequence);
    g_free(end->message);
  }
}

gboolean dms_scheduler_step(DmsScheduler *scheduler, DmsCompletionFunc done, gpointer user_data, GError **error) {
  gboolean dry = FALSE;
  if (!admit(scheduler, error)) return FALSE;
  gint64 start = g_get_monotonic_time();
  int before = scheduler->n_batches;
  if (!issue(scheduler, error)) return FALSE;
  gboolean issued = scheduler->n_batches > before;
  if (scheduler->n_batches > 0 && (scheduler->n_batches > scheduler->ops->latency || !issued) &&
      !collect(scheduler, start, &dry, error))
    return FALSE;
  DmsMemory memory;
  scheduler->ops->memory(scheduler->backend, &memory);
  scheduler->stats.kv_bytes_used = memory.bytes_used;
  scheduler->stats.kv_bytes_peak = MAX(scheduler->stats.kv_bytes_peak, memory.bytes_used);
  scheduler->stats.seconds_decode += (double)(g_get_monotonic_time() - start) / 1e6;
  if (dry) preempt(scheduler);
  hand_over(scheduler, done, user_data);
  return TRUE;
}

void dms_scheduler_stats(const DmsScheduler *scheduler, DmsEngineStats *stats) {
  const DmsEngineStats *own = &scheduler->stats;
  stats->steps = own->steps, stats->generated_tokens = own->generated_tokens;
  stats->prefilled_tokens = own->prefilled_tokens, stats->preemptions = own->preemptions;
  stats->running = (int)scheduler->running->len, stats->waiting = (int)scheduler->waiting.length;
  stats->kv_bytes_used = own->kv_bytes_used, stats->kv_bytes_peak = own->kv_bytes_peak;
  stats->kv_bytes_total = own->kv_bytes_total;
  stats->seconds_prefill = own->seconds_prefill, stats->seconds_decode = own->seconds_decode;
}
