/* Where problems come from: readers of the benchmarks' own formats, their prompts, the hub client, the pocket
 * suites.
 *
 * A task is named as a plan names it:
 *
 *   aime24  aime25  math500  gpqa-diamond             fetched (dataset_fetch), or read from a file that the user has
 *   livecodebench[@release_vN|@vN|@vA_vB][:FROM..TO]  contest dates, 2024-08-01..2025-01-31, both included
 *   pocket-aime  pocket-gpqa  pocket-livecodebench    ship with the project
 *
 * release_vN is the first N files of LiveCodeBench, vN the N-th alone; without either all six are read, release_v6.
 *
 * Rows are hostile until checked: a malformed one is an error that names file and line, never a guess. Problems are
 * opened in the order of the file. Functions that can fail take a GError ** last. Not thread-safe, but two data sets
 * are independent. */
#ifndef HYPERSCALE_DATASET_H
#define HYPERSCALE_DATASET_H

#include <glib.h>
#include <stdint.h>

G_BEGIN_DECLS

#define DATASET_ERROR (dataset_error_quark())
GQuark dataset_error_quark(void);

typedef enum {
  DATASET_ERROR_NAME,    /* no such task, release, prompt style or option order; the message suggests one */
  DATASET_ERROR_MISSING, /* not on this machine; the message says how to fetch it */
  DATASET_ERROR_FORMAT,  /* a row that is not what the benchmark's format allows: file, line, field, value */
  DATASET_ERROR_NETWORK, /* could not be fetched: address, reason, what to do */
  DATASET_ERROR_IO,
} DatasetError;

/* How the answers of a task are graded. */
typedef enum {
  DATASET_INTEGER, /* AIME */
  DATASET_MATH,    /* MATH-500: LaTeX equivalence */
  DATASET_CHOICE,  /* GPQA: a letter */
  DATASET_CODE,    /* LiveCodeBench: a program */
} DatasetKind;

typedef struct {
  /* The benchmark's own file; NULL: shipped, or fetched earlier. GPQA: its csv or its dataset.zip. LiveCodeBench: a
   * jsonl file, or the folder that holds test.jsonl .. test6.jsonl. */
  const char *path;
  const char *option_order; /* GPQA: "simple-evals" (their permutations) or "seeded" (the default) */
  uint64_t seed;            /* of "seeded" */
} DatasetOptions;

/* One row. Everything belongs to the data set and lives as long as it. */
typedef struct {
  const char *id;         /* unique in its task */
  const char *question;   /* as published */
  const char *answer;     /* gold: digits, LaTeX, the letter shown; NULL for programs */
  const char *options[4]; /* GPQA: A to D as shown, stripped of blanks at both ends */
  int n_options;          /* 0 or 4 */
  /* GPQA: the order shown, "2013" say: options[i] is the row's order[i]-th, 0 the correct one, 1..3 the incorrect
   * ones */
  const char *order;
  const char *starter_code, *function_name; /* LiveCodeBench functional problems; NULL for stdin programs */
  const char *date, *difficulty, *platform; /* LiveCodeBench; may be NULL */
  const char *fingerprint; /* SHA-256 in hex of what the row asks and its gold, with tests and the order shown */
} DatasetProblem;

typedef struct Dataset Dataset;

/* Reads and checks a task. `options` may be NULL. Close with dataset_close(). */
Dataset *dataset_open(const char *task, const DatasetOptions *options, GError **error);
void dataset_close(Dataset *dataset);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Dataset, dataset_close)
DatasetKind dataset_kind(const Dataset *dataset);
guint dataset_size(const Dataset *dataset);
const DatasetProblem *dataset_problem(const Dataset *dataset, guint index);
int dataset_find(const Dataset *dataset, const char *id); /* the index of the problem, or -1 */
/* Where the rows came from: file or repository and revision; its SHA-256 where it was computed. For provenance. */
const char *dataset_source(const Dataset *dataset);
/* The questions must not be shown in plain text (GPQA's authors ask for it). */
gboolean dataset_is_private(const Dataset *dataset);

/* ---- Tests of a program ------------------------------------------------------------------------------------------ */

/* Functional: the input is one JSON value a line, one line an argument, the output one JSON value. Else raw stdin and
 * stdout. Both are terminated; the lengths, in bytes, exclude the terminator. */
typedef struct {
  char *input;
  gsize input_length;
  char *output;
  gsize output_length;
  gboolean functional;
} DatasetTest;

/* The tests of problem `index` in the official order, public then private, unpacked now (a set can be over 100 MB;
 * rows stay packed until asked for). Elements are DatasetTest *; free with g_ptr_array_unref(). */
GPtrArray *dataset_tests(Dataset *dataset, guint index, GError **error);

/* ---- Prompts ----------------------------------------------------------------------------------------------------- */

/* The styles are the benchmarks' own wordings, exact to the byte:
 *   open-r1        the paper's AIME, MATH and GPQA templates
 *   qwen           "{problem}\n\nPlease reason step by step, ..." and, for choices, the `answer` field sentence
 *   simple-evals   GPQA
 *   lcb-generic    LiveCodeBench with its system message
 *   lcb-r1  lcb-qwq
 * Each task has a default: aime and math `qwen`, gpqa `simple-evals`, livecodebench `lcb-generic`. */
typedef struct {
  char *system; /* NULL: no system turn */
  char *user;
} DatasetPrompt;
/* `style` NULL: the task's default. DATASET_ERROR_NAME when the style is unknown or does not fit the task; names
 * those that do. */
gboolean dataset_prompt(const Dataset *dataset, guint index, const char *style, DatasetPrompt *prompt, GError **error);
void dataset_prompt_clear(DatasetPrompt *prompt);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DatasetPrompt, dataset_prompt_clear)
const char *dataset_default_style(const Dataset *dataset);

/* ---- The hub and what ships -------------------------------------------------------------------------------------- */

typedef struct {
  const char *file;                /* the one in progress */
  guint64 done_bytes, total_bytes; /* of the whole fetch; total 0: unknown */
  double bytes_per_second;
  guint files_done, files_total;
} DatasetProgress;
typedef void (*DatasetProgressFunc)(const DatasetProgress *progress, gpointer user_data);

/* Fetches a task (aime24, aime25, math500, gpqa-diamond, livecodebench[@release_vN]) or a model (ORG/NAME[@revision])
 * into the Hugging Face cache, verified; goes on from what an earlier call left. What is complete and pinned asks
 * nothing of the network. Environment: HF_HOME, HF_HUB_CACHE, HF_ASSETS_CACHE, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE,
 * HF_HUB_DOWNLOAD_TIMEOUT, and HYPERSCALE_GITHUB_RAW for a mirror of raw.githubusercontent.com. `*where`, unless NULL,
 * is the folder or file, to be freed. DATASET_ERROR_NETWORK says what failed and what to do, DATASET_ERROR_IO how many
 * bytes a full disk lacks, DATASET_ERROR_MISSING that the environment forbids the network. */
gboolean dataset_fetch(const char *what, DatasetProgressFunc progress, gpointer user_data, char **where,
                       GError **error);

/* The folder of a model named in a plan or on the command line: a path; a pocket model (pocket-reasoner, -dms-2x,
 * -4x, -8x); or ORG/NAME [@revision] in the Hugging Face cache. DATASET_ERROR_MISSING says what to fetch. Free with
 * g_free(). */
char *dataset_model_dir(const char *name, GError **error);
/* A file or folder that ships with the program ("pocket/aime.jsonl", "plans/pocket.yaml"), looked for in
 * $HYPERSCALE_DATA, beside the binary (../share/hyperscale) and in the source tree. NULL when it is nowhere. Free
 * with g_free(). */
char *dataset_shipped(const char *relative);

G_END_DECLS

#endif
