/* The only place where data sets, engine, grading and results meet. */
#include "harness/runner.h"

#include <string.h>

#include "harness/batch.h"
#include "harness/machine.h"
#include "harness/progress.h"
#include "harness/stop.h"
#include "harness/task.h"
#include "harness/verdicts.h"
#include "harness/version.h"

/* One problem as one model is asked it. */
typedef struct {
  Task *task;
  guint index;    /* in the data set */
  GArray *prompt; /* int32_t ids */
  char *rendered;
  gint64 id; /* in the store */
  guint threads_left;
} Question;

typedef struct {
  const PlanMethod *plan;
  char *dir, *fingerprint, *policy;
  DmsModelInfo info;
  ResultsMethod stored;
  gint64 id;            /* in the store */
  GPtrArray *questions; /* Question * */
} Method;

typedef struct {
  const Plan *plan;
  const RunOptions *options;
  RunOutcome *outcome;
  GPtrArray *tasks, *methods;
  gint64 id; /* of the run in the store */
  Batch batch;
  Verdicts verdicts;
  Progress progress;
  const Method *method; /* in the engine now */
  char device[16];      /* "cpu", "cuda" */
  GError *failed;       /* the first error inside a completion */
} Run;

static void question_free(gpointer data) {
  Question *question = data;
  g_clear_pointer(&question->prompt, g_array_unref);
  g_free(question->rendered);
  g_free(question);
}

static void method_free(gpointer data) {
  Method *method = data;
  g_free(method->dir);
  g_free(method->fingerprint);
  g_free(method->policy);
  dms_model_info_clear(&method->info);
  g_clear_pointer(&method->questions, g_ptr_array_unref);
  g_free(method);
}

static int most_threads(const Run *run) {
  return run->plan->threads[run->plan->n_threads - 1];
}

/* ---- Checks before anything is loaded ------------------------------------------------------------------------------------------ */

static gboolean check_checkpoint(const Method *method, DmsDevice device, GError **error) {
  const PlanMethod *plan = method->plan;
  DmsPolicy policy = plan_policy(plan);
  DmsPrecision precision = plan_precision(plan);
  if (device == DMS_DEVICE_CPU && precision != DMS_PRECISION_AUTO && precision != DMS_PRECISION_F32) {
    g_set_error(error, PLAN_ERROR, PLAN_ERROR_VALUE,
                "precision is %s; on the CPU allowed: f32, or none stated (--device cuda has the others)",
                plan->precision);
    return FALSE;
  }
  if (policy.kind == DMS_POLICY_WINDOW && MAX(policy.window, policy.sinks) >= method->info.context) {
    g_set_error(error, PLAN_ERROR, PLAN_ERROR_VALUE,
                "window is %d and sinks %d; allowed: fewer than the model's %d positions", policy.window, policy.sinks,
                method->info.context);
    return FALSE;
  }
  if (policy.kind == DMS_POLICY_DMS && !method->info.has_dms) {
    g_set_error(error, PLAN_ERROR, PLAN_ERROR_VALUE,
                "policy is dms, but this is no DMS checkpoint; use a DMS retrofit of it, or policy vanilla");
    return FALSE;
  }
  if (policy.kind == DMS_POLICY_DMS && plan->cr && method->info.dms_cr && plan->cr != method->info.dms_cr) {
    g_set_error(
        error, PLAN_ERROR, PLAN_ERROR_VALUE,
        "cr is %g, but the checkpoint was trained for a compression ratio of %d; write cr: %d or name another model",
        plan->cr, method->info.dms_cr, method->info.dms_cr);
    return FALSE;
  }
  return TRUE;
}

static gboolean check_context(const Method *method, const Task *task, const Question *question, GError **error) {
  int needed = (int)question->prompt->len + task->max_length;
  if (needed <= method->info.context) return TRUE;
  g_set_error(error, PLAN_ERROR, PLAN_ERROR_VALUE,
              "task %s: problem %s has %u prompt tokens, with length %d that is %d, beyond the %d positions of %s; "
              "allowed: lengths up to %d",
              task_name(task), dataset_problem(task->dataset, question->index)->id, question->prompt->len,
              task->max_length, needed, method->info.context, method->plan->model,
              method->info.context - (int)question->prompt->len);
  return FALSE;
}

static Question *ask(const Method *method, Task *task, guint index, const DmsTokenizer *tokenizer, GError **error) {
  DatasetPrompt prompt = {0};
  DmsChatFormat chat;
  if (!dataset_prompt(task->dataset, index, task->plan->prompt, &prompt, error)) return NULL;
  Question *question = g_new0(Question, 1);
  question->task = task;
  question->index = index;
  question->prompt = g_array_new(FALSE, FALSE, sizeof(int32_t));
  gboolean ok =
      (task->plan->chat ? dms_chat_format_parse(task->plan->chat, &chat)
                        : dms_chat_format_detect(tokenizer, &chat, error)) &&
      dms_chat_encode(tokenizer, chat, prompt.system, prompt.user, question->prompt, &question->rendered, error) &&
      check_context(method, task, question, error);
  dataset_prompt_clear(&prompt);
  if (!ok) g_clear_pointer(&question, question_free);
  return question;
}

static gboolean ask_all(Run *run, Method *method, GError **error) {
  DmsTokenizer *tokenizer = dms_tokenizer_open(method->dir, error);
  const Shard *shard = &run->options->shard;
  guint position = 0;
  gboolean ok = tokenizer != NULL;
  method->questions = g_ptr_array_new_with_free_func(question_free);
  for (guint t = 0; ok && t < run->tasks->len; t++) {
    Task *task = run->tasks->pdata[t];
    for (guint i = 0; ok && i < task->selected->len; i++) {
      if ((int)(position++ % (guint)shard->count) != shard->index) continue;
      Question *question = ask(method, task, g_array_index(task->selected, guint, i), tokenizer, error);
      if (question)
        g_ptr_array_add(method->questions, question);
      else
        ok = FALSE;
    }
  }
  dms_tokenizer_free(tokenizer);
  return ok;
}

static Method *prepare_method(Run *run, const PlanMethod *plan, GError **error) {
  Method *method = g_new0(Method, 1);
  method->plan = plan;
  method->policy = plan_policy_name(plan);
  method->dir = dataset_model_dir(plan->model, error);
  if (method->dir && dms_model_info_read(method->dir, &method->info, error) &&
      check_checkpoint(method, run->options->device, error) && ask_all(run, method, error))
    return method;
  g_prefix_error(error, "method %s (%s): ", plan->name, plan->model);
  method_free(method);
  return NULL;
}

/* ---- The store ----------------------------------------------------------------------------------------------------------------- */

static gboolean store_method(Run *run, Method *method, GError **error) {
  const PlanMethod *plan = method->plan;
  DmsSampling sampling = method->info.sampling;
  if (run->plan->sampling)
    sampling = (DmsSampling){(float)run->plan->sampling->temperature, (float)run->plan->sampling->top_p,
                             run->plan->sampling->top_k};
  double cr = plan->cr                                                          ? plan->cr
              : plan_policy(plan).kind == DMS_POLICY_DMS && method->info.dms_cr ? method->info.dms_cr
                                                                                : 1;
  method->stored = (ResultsMethod){
      .name = plan->name,
      .model = {.fingerprint = method->fingerprint,
                .name = plan->model,
                .layers = method->info.layers,
                .kv_heads = method->info.kv_heads,
                .item_bytes = method->info.item_bytes},
      .policy = method->policy,
      .cr = cr,
      .temperature = sampling.temperature,
      .top_p = sampling.top_p,
      .top_k = sampling.top_k,
  };
  method->id = results_method_add(run->batch.store, run->id, &method->stored, error);
  return method->id != 0;
}

/* All of them before the first is run: until then a run that has not begun its last method would count as complete. */
static gboolean store_methods(Run *run, GError **error) {
  for (guint i = 0; i < run->methods->len; i++)
    if (!store_method(run, run->methods->pdata[i], error)) return FALSE;
  return TRUE;
}

static gboolean store_tasks(Run *run, GError **error) {
  for (guint t = 0; t < run->tasks->len; t++) {
    Task *task = run->tasks->pdata[t];
    const char *style = task->plan->prompt ? task->plan->prompt : dataset_default_style(task->dataset);
    ResultsTask row = {
        .name = task_name(task),
        .aggregate = task_aggregate(task),
        .style = style,
        .source = dataset_source(task->dataset),
        .grader = task_grader_version(task),
        .problems = (int)task->selected->len,
        .max_threads = most_threads(run),
        .max_length = task->max_length,
    };
    if (!(task->id = results_task_add(run->batch.store, run->id, &row, error))) return FALSE;
  }
  return TRUE;
}

static gboolean store_question(Run *run, Question *question, GError **error) {
  Dataset *dataset = question->task->dataset;
  const DatasetProblem *problem = dataset_problem(dataset, question->index);
  gboolean hidden = dataset_is_private(dataset);
  ResultsProblem row = {
      .id = problem->id,
      .fingerprint = problem->fingerprint,
      .order = problem->order,
      .gold = problem->answer,
      .question = hidden ? NULL : problem->question,
      .prompt = (const int32_t *)question->prompt->data,
      .prompt_length = (int)question->prompt->len,
      .prompt_text = hidden ? NULL : question->rendered,
  };
  question->id = results_problem_add(run->batch.store, question->task->id, &row, error);
  return question->id != 0;
}

static char *generation_key(const Run *run, const Method *method, const Question *question, int thread) {
  return results_generation_key(&method->stored, (const int32_t *)question->prompt->data, (int)question->prompt->len,
                                run->plan->seed, task_name(question->task),
                                dataset_problem(question->task->dataset, question->index)->id, thread);
}

/* ---- Generation ---------------------------------------------------------------------------------------------------------------- */

static void store_completion(const DmsCompletion *completion, gpointer user_data) {
  Run *run = user_data;
  Question *question = completion->tag;
  static const ResultsFinish finishes[] = {RESULTS_FINISH_STOP, RESULTS_FINISH_LENGTH, RESULTS_FINISH_ERROR};
  ResultsGeneration row = {
      .tokens = completion->tokens,
      .live = completion->live,
      .n_tokens = completion->n_tokens,
      .max_new_tokens = question->task->max_length,
      .finish = finishes[completion->finish],
      .text = completion->text,
      .text_length = completion->text_length,
      .message = completion->message,
      .prefill_reads = completion->prefill_reads,
      .seconds_prefill = completion->seconds_prefill,
      .seconds_decode = completion->seconds_decode,
      .seconds_device = completion->seconds_device,
      .device = run->device,
  };
  run->progress.threads_done++;
  run->progress.problems_done += --question->threads_left == 0;
  run->outcome->generated++;
  run->outcome->failed += completion->finish == DMS_FINISH_ERROR;
  if (completion->finish == DMS_FINISH_ERROR)
    progress_note(&run->progress, "problem %s, thread %d: %s",
                  dataset_problem(question->task->dataset, question->index)->id, completion->thread,
                  completion->message);
  if (run->failed) return;
  g_autofree char *key = generation_key(run, run->method, question, completion->thread);
  if (batch_write(&run->batch, &run->failed))
    results_generation_add(run->batch.store, run->method->id, question->id, completion->thread, key, &row,
                           &run->failed);
}

/* Threads first .. first + count - 1 of a question that the store lacks. */
typedef struct {
  Question *question;
  int first, count;
} Missing;

static gboolean find_missing(Run *run, const Method *method, Question *question, GArray *missing, GError **error) {
  Missing range = {question, 0, 0};
  if (!batch_write(&run->batch, error) || !store_question(run, question, error)) return FALSE;
  for (int thread = 0; thread < most_threads(run); thread++) {
    gboolean reused;
    g_autofree char *key = generation_key(run, method, question, thread);
    if (!results_generation_reuse(run->batch.store, method->id, question->id, thread, key, question->task->max_length,
                                  &reused, error))
      return FALSE;
    run->outcome->reused += reused;
    run->progress.threads_done += reused;
    question->threads_left += !reused;
    if (!reused && range.count++ == 0) range.first = thread;
    if (!reused && thread + 1 < most_threads(run)) continue;
    if (range.count > 0) g_array_append_val(missing, range);
    range.count = 0;
  }
  run->progress.problems_done += question->threads_left == 0;
  return TRUE;
}

static gboolean submit(const Run *run, DmsEngine *engine, const Missing *missing, GError **error) {
  const Question *question = missing->question;
  DmsRequest request = {
      .prompt = (const int32_t *)question->prompt->data,
      .prompt_length = (int)question->prompt->len,
      .threads = missing->count,
      .first_thread = missing->first,
      .max_new_tokens = question->task->max_length,
      .sampling = {run->method->stored.temperature, run->method->stored.top_p, run->method->stored.top_k},
      .seed = {run->plan->seed, task_name(question->task),
               dataset_problem(question->task->dataset, question->index)->id},
      .tag = missing->question,
  };
  return dms_engine_submit(engine, &request, error);
}

/* Grades what is there. Programs run beside the engine only where it does not need the cores. */
static gboolean grade_now(Run *run, gboolean programs, GError **error) {
  for (guint t = 0; t < run->tasks->len; t++) {
    Task *task = run->tasks->pdata[t];
    if (!programs && dataset_kind(task->dataset) == DATASET_CODE) continue;
    if (!verdicts_pass(&run->verdicts, run->id, task, 0, error)) return FALSE;
  }
  return TRUE;
}

static gboolean drive(Run *run, DmsEngine *engine, GError **error) {
  gint64 graded = g_get_monotonic_time();
  uint64_t before = run->progress.tokens;
  DmsEngineStats stats;
  guint out;
  while (dms_engine_pending(engine) > 0 && !stop_requested()) {
    if (!dms_engine_step(engine, store_completion, run, error)) return FALSE;
    if (run->failed) {
      g_propagate_error(error, g_steal_pointer(&run->failed));
      return FALSE;
    }
    dms_engine_stats(engine, &stats);
    run->progress.tokens = before + stats.generated_tokens;
    run->outcome->tokens = run->progress.tokens;
    if (!batch_commit(&run->batch, FALSE, error)) return FALSE;
    progress_show(&run->progress);
    if (g_get_monotonic_time() - graded > 5 * G_USEC_PER_SEC) {
      if (!grade_now(run, run->options->device != DMS_DEVICE_CPU, error)) return FALSE;
      graded = g_get_monotonic_time();
    } else if (!verdicts_take(&run->verdicts, &out, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean generate(Run *run, const Method *method, const GArray *missing, GError **error) {
  DmsEngineOptions options = {
      .model_dir = method->dir,
      .device = run->options->device,
      .device_index = run->options->device_index,
      .policy = plan_policy(method->plan),
      .precision = plan_precision(method->plan),
      .max_sequences = run->options->max_sequences,
      .cpu_threads = run->options->cpu_threads,
      .kv_bytes = run->options->kv_bytes,
  };
  DmsEngine *engine = dms_engine_open(&options, error);
  gboolean ok = engine != NULL;
  run->method = method;
  for (guint i = 0; ok && i < missing->len; i++) ok = submit(run, engine, &g_array_index(missing, Missing, i), error);
  ok = ok && drive(run, engine, error);
  dms_engine_close(engine);
  return ok;
}

static gboolean finish_grading(Run *run, GError **error) {
  guint out = 1;
  if (!grade_now(run, TRUE, error)) return FALSE;
  while (out > 0 && !stop_requested()) {
    if (!verdicts_take(&run->verdicts, &out, error)) return FALSE;
    if (out > 0) g_usleep(2000);
    progress_show(&run->progress);
  }
  return batch_commit(&run->batch, TRUE, error);
}

/* What the store has is not generated again; where it has all, the weights are not even read. */
static gboolean run_method(Run *run, Method *method, GError **error) {
  g_autofree char *stage = g_strdup_printf("%s %s", method->plan->name, method->plan->model);
  g_autoptr(GArray) missing = g_array_new(FALSE, FALSE, sizeof(Missing));
  run->progress.stage = stage;
  gboolean ok = TRUE;
  for (guint i = 0; ok && i < method->questions->len; i++)
    ok = find_missing(run, method, method->questions->pdata[i], missing, error);
  ok = ok && (missing->len == 0 || generate(run, method, missing, error)) && batch_commit(&run->batch, TRUE, error);
  ok = ok && (stop_requested() ? grade_now(run, FALSE, error) : finish_grading(run, error));
  run->progress.stage = "";
  return ok;
}

gboolean runner_derive(ResultsStore *store, gint64 run, const Plan *plan, GError **error) {
  g_autoptr(GArray) lengths = g_array_new(FALSE, FALSE, sizeof(int));
  g_array_append_vals(lengths, plan->lengths, plan->n_lengths);
  for (unsigned t = 0; t < plan->n_tasks; t++)
    for (unsigned i = 0; i < plan->tasks[t].n_lengths; i++) {
      guint at = 0;
      int length = plan->tasks[t].lengths[i];
      while (at < lengths->len && g_array_index(lengths, int, at) < length) at++;
      if (at == lengths->len || g_array_index(lengths, int, at) != length) g_array_insert_val(lengths, at, length);
    }
  ResultsGrid grid = {.lengths = (int *)lengths->data,
                      .n_lengths = (int)lengths->len,
                      .threads = plan->threads,
                      .n_threads = (int)plan->n_threads,
                      .ties = plan->ties,
                      .seed = plan->seed};
  return results_derive(store, run, &grid, error);
}

static gboolean prepare(Run *run, GError **error) {
  if (!(run->tasks = tasks_open(run->plan, run->options->limit, error))) return FALSE;
  run->methods = g_ptr_array_new_with_free_func(method_free);
  for (unsigned i = 0; i < run->plan->n_methods; i++) {
    Method *method = prepare_method(run, &run->plan->methods[i], error);
    if (!method) return FALSE;
    g_ptr_array_add(run->methods, method);
  }
  for (guint i = 0; i < run->methods->len; i++) {
    Method *method = run->methods->pdata[i];
    if (!(method->fingerprint = dms_model_fingerprint(method->dir, error))) return FALSE;
    run->progress.problems_total += method->questions->len;
    run->progress.threads_total += method->questions->len * (guint)most_threads(run);
  }
  return TRUE;
}

static gboolean begin_store(Run *run, const char *plan_text, GError **error) {
  g_autofree char *machine = machine_describe(run->device);
  ResultsRun row = {.name = run->plan->name,
                    .plan = plan_text,
                    .version = hyperscale_version,
                    .machine = machine,
                    .seed = run->plan->seed,
                    .partial = run->options->limit > 0};
  if (!(run->batch.store = results_open(run->options->store, RESULTS_WRITE, error))) return FALSE;
  return batch_write(&run->batch, error) && (run->id = results_run_begin(run->batch.store, &row, error)) != 0 &&
         store_tasks(run, error) && store_methods(run, error) && batch_commit(&run->batch, TRUE, error);
}

/* Points are derived after every method that has brought something, also where a signal ends the run there: what has been paid for can
 * be looked at. */
static gboolean run_all(Run *run, const char *plan_text, GError **error) {
  if (!prepare(run, error) || !begin_store(run, plan_text, error)) return FALSE;
  gboolean derived = FALSE;
  for (guint i = 0; i < run->methods->len && !stop_requested(); i++) {
    guint before = run->outcome->generated + run->verdicts.graded;
    if (!run_method(run, run->methods->pdata[i], error)) return FALSE;
    derived = run->outcome->generated + run->verdicts.graded > before;
    if (derived && !runner_derive(run->batch.store, run->id, run->plan, error)) return FALSE;
  }
  return derived || runner_derive(run->batch.store, run->id, run->plan, error);
}

gboolean runner_run(const Plan *plan, const char *plan_text, const RunOptions *options, RunOutcome *outcome,
                    GError **error) {
  Run run = {.plan = plan, .options = options, .outcome = outcome};
  GradeProgramOptions programs = {.sandbox = options->sandbox, .both = TRUE};
  gint64 begun = g_get_monotonic_time();
  g_strlcpy(run.device, options->device == DMS_DEVICE_CUDA ? "cuda" : "cpu", sizeof run.device);
  *outcome = (RunOutcome){.run = g_strdup(plan->name)};
  verdicts_init(&run.verdicts, &run.batch, &programs);
  progress_begin(&run.progress, options->quiet);
  gboolean ok = run_all(&run, plan_text, error);
  batch_commit(&run.batch, TRUE, ok ? error : NULL);
  if (ok || outcome->generated) progress_end(&run.progress);
  outcome->ungraded = run.verdicts.ungraded;
  outcome->stopped = stop_requested();
  outcome->seconds = (g_get_monotonic_time() - begun) / 1e6;
  verdicts_clear(&run.verdicts);
  results_close(run.batch.store);
  g_clear_pointer(&run.methods, g_ptr_array_unref);
  g_clear_pointer(&run.tasks, g_ptr_array_unref);
  g_clear_error(&run.failed);
  return ok;
}
