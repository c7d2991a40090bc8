/* The readers on the pocket suites, on files written here, and on the real rows of ../shared/data. */
#include "datasets/dataset.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>

static char *folder; /* of the files that tests write */

/* The path of a file with this text. */
static char *write_file(const char *name, const char *text) {
  char *path = g_build_filename(folder, name, NULL);
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  return path;
}

static Dataset *open_text(const char *task, const char *name, const char *text, GError **error) {
  g_autofree char *path = write_file(name, text);
  DatasetOptions options = {.path = path};
  return dataset_open(task, &options, error);
}

/* The text is refused, with a message that says all of `words` (separated by |). */
static void assert_refused(const char *task, const char *name, const char *text, const char *words) {
  g_autoptr(GError) error = NULL;
  Dataset *dataset = open_text(task, name, text, &error);
  g_assert_null(dataset);
  g_assert_nonnull(error);
  g_auto(GStrv) each = g_strsplit(words, "|", -1);
  for (char **word = each; *word; word++)
    if (!strstr(error->message, *word)) g_error("\"%s\" is not in: %s", *word, error->message);
}

static Dataset *open_pocket(const char *task) {
  g_autoptr(GError) error = NULL;
  Dataset *dataset = dataset_open(task, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(dataset_size(dataset), ==, 30);
  return dataset;
}

/* ---- Pocket suites ----------------------------------------------------------------------------------------------- */

static void test_pocket_aime(void) {
  Dataset *dataset = open_pocket("pocket-aime");
  const DatasetProblem *problem = dataset_problem(dataset, 0);
  g_assert_cmpint(dataset_kind(dataset), ==, DATASET_INTEGER);
  g_assert_cmpstr(problem->id, ==, "pocket-01");
  g_assert_cmpstr(problem->question, ==, "Find the least integer x >= 0 with x = 12 (mod 13) and x = 19 (mod 29).");
  g_assert_cmpstr(problem->answer, ==, "77");
  g_assert_cmpint(problem->n_options, ==, 0);
  g_assert_cmpuint(strlen(problem->fingerprint), ==, 64);
  g_assert_cmpstr(problem->fingerprint, !=, dataset_problem(dataset, 1)->fingerprint);
  g_assert_true(dataset_find(dataset, "pocket-30") == dataset_problem(dataset, 29));
  g_assert_null(dataset_find(dataset, "pocket-31"));
  g_assert_nonnull(strstr(dataset_source(dataset), "pocket/aime.jsonl sha256:"));
  g_assert_false(dataset_is_private(dataset));
  dataset_close(dataset);
}

static void test_pocket_gpqa(void) {
  Dataset *dataset = open_pocket("pocket-gpqa");
  const DatasetProblem *problem = dataset_problem(dataset, 0);
  const char *published[] = {"04", "02", "10", "05"};
  g_assert_cmpstr(problem->id, ==, "pocket001");
  g_assert_true(g_str_has_prefix(problem->question, "The integer x satisfies 0 <= x < 481, x = 10 (mod 13)"));
  for (int i = 0; i < 4; i++) g_assert_cmpstr(problem->options[i], ==, published[problem->order[i] - '0']);
  g_assert_cmpint(problem->order[problem->answer[0] - 'A'], ==, '0');
  dataset_close(dataset);
}

static void test_pocket_livecodebench(void) {
  Dataset *dataset = open_pocket("pocket-livecodebench");
  const DatasetProblem *problem = dataset_problem(dataset, 0);
  g_assert_cmpstr(problem->id, ==, "pocket_01");
  g_assert_cmpstr(problem->date, ==, "2026-11-21T00:00:00");
  g_assert_cmpstr(problem->difficulty, ==, "easy");
  g_assert_null(problem->answer);
  g_assert_null(problem->starter_code);
  g_assert_null(problem->function_name);
  g_autoptr(GError) error = NULL;
  for (guint i = 0; i < dataset_size(dataset); i++) {
    g_autoptr(GPtrArray) tests = dataset_tests(dataset, i, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(tests->len, ==, 10); /* 2 public, 8 private */
  }
  g_autoptr(GPtrArray) tests = dataset_tests(dataset, 0, &error);
  const DatasetTest *first = tests->pdata[0], *third = tests->pdata[2];
  g_assert_cmpstr(first->input, ==, "0\n");
  g_assert_cmpstr(first->output, ==, "5\n");
  g_assert_cmpstr(third->input, ==, "921\n");
  g_assert_cmpstr(third->output, ==, "16\n");
  g_assert_cmpuint(third->input_length, ==, 4);
  g_assert_false(third->functional);
  dataset_close(dataset);
}

/* The prompts that the pocket models were trained on, as the goldens have them in ChatML. */
static char *chatml(const DatasetPrompt *prompt) {
  g_autofree char *system =
      prompt->system ? g_strconcat("<|im_start|>system\n", prompt->system, "<|im_end|>\n", NULL) : g_strdup("");
  return g_strconcat(system, "<|im_start|>user\n", prompt->user, "<|im_end|>\n<|im_start|>assistant\n", NULL);
}

/* Row 0 of the text, in the default style, is the prompt of row `golden` of pocket-greedy.json. */
static void assert_golden_prompt(const char *task, const char *name, const char *text, gsize golden) {
  g_autoptr(GError) error = NULL;
  json_error_t at;
  json_t *goldens = json_load_file("tests/goldens/pocket-greedy.json", 0, &at);
  g_assert_nonnull(goldens);
  g_autoptr(Dataset) dataset = open_text(task, name, text, &error);
  g_assert_no_error(error);
  g_auto(DatasetPrompt) prompt;
  g_assert_true(dataset_prompt(dataset, 0, NULL, &prompt, &error));
  g_autofree char *rendered = chatml(&prompt);
  g_assert_cmpstr(rendered, ==, json_string_value(json_object_get(json_array_get(goldens, golden), "prompt")));
  json_decref(goldens);
}

/* A GPQA file of one row whose options are shown as 24, 11, 21, 22. */
static char *choice_shown_as_golden(void) {
  const char *shown[] = {"24", "11", "21", "22"}, *written[4] = {"0", "1", "2", "3"};
  char *text = NULL;
  for (int pass = 0; pass < 2; pass++) {
    g_free(text);
    text = g_strdup_printf(
        "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,Record ID\n"
        "\"The integer x satisfies 0 <= x < 150, x = 5 (mod 6) and x = 24 (mod 25). What is the remainder of x "
        "divided by 25?\",%s,%s,%s,%s,golden\n",
        written[0], written[1], written[2], written[3]);
    g_autoptr(Dataset) dataset = open_text("pocket-gpqa", "golden.csv", text, NULL);
    for (int i = 0; i < 4; i++) written[dataset_problem(dataset, 0)->order[i] - '0'] = shown[i];
  }
  return text;
}

static void test_pocket_prompts(void) {
  assert_golden_prompt("pocket-aime", "golden.jsonl",
                       "{\"problem\": \"Find the least integer x >= 0 with x = 7 (mod 17) and x = 5 (mod 28).\", "
                       "\"answer\": \"313\"}",
                       0);
  g_autofree char *choice = choice_shown_as_golden();
  assert_golden_prompt("pocket-gpqa", "golden.csv", choice, 2);
  assert_golden_prompt(
      "pocket-livecodebench", "golden.jsonl",
      "{\"question_content\": \"A rule maps every integer n >= 0 to f(n) = (a*n+b) mod 31, where 0 <= a, b < 31. It "
      "is known that f(0) = 17 and f(3) = 3. Read n and print f(n).\", \"question_id\": \"1\", "
      "\"contest_date\": \"2026-11-21T00:00:00\", \"starter_code\": \"\", \"public_test_cases\": \"[]\", "
      "\"private_test_cases\": \"[]\", \"metadata\": \"{}\"}",
      3);
}

/* ---- Hostile rows ------------------------------------------------------------------------------------------------ */

static void test_math_rows_refused(void) {
  const char *good = "{\"id\": 1, \"problem\": \"p\", \"answer\": \"025\"}\r\n\n";
  g_autofree char *again = g_strconcat(good, good, NULL);
  assert_refused("aime24", "a.jsonl", again, "a.jsonl:3|id \"1\" occurred before, in line 1");
  assert_refused("aime24", "a.jsonl", "", "no rows");
  assert_refused("aime24", "a.jsonl", "[1]\n", "a.jsonl:1|no JSON object");
  assert_refused("aime24", "a.jsonl", "\n{\"id\": 1,", "a.jsonl:2");
  assert_refused("aime24", "a.jsonl", "{\"problem\": \"p\", \"problem\": \"p\"}", "a.jsonl:1|duplicate");
  assert_refused("aime24", "a.jsonl", "{\"problem\": \"p\", \"answer\": 1000}", "\"answer\" is \"1000\"|0 to 999");
  assert_refused("aime24", "a.jsonl", "{\"problem\": \"p\", \"answer\": \"-1\"}", "\"answer\" is \"-1\"");
  assert_refused("aime24", "a.jsonl", "{\"problem\": \"p\"}", "\"answer\" is missing");
  assert_refused("aime24", "a.jsonl", "{\"problem\": [1], \"answer\": 1}", "\"problem\" is [1]");
  assert_refused("aime24", "a.jsonl", "{\"problem\": \"\\u0000\", \"answer\": 1}", "a.jsonl:1");
  assert_refused("aime24", "a.jsonl", "{\"problem\": \"\xff\", \"answer\": 1}", "a.jsonl:1|byte 0xff");
  g_autofree char *deep = g_strnfill(1000000, '[');
  assert_refused("aime24", "a.jsonl", deep, "a.jsonl:1");
  assert_refused("aime26", "a.jsonl", good, "no task \"aime26\"|aime25");
  assert_refused("aime24@v1", "a.jsonl", good, "no task \"aime24@v1\"");
  g_autoptr(GError) error = NULL;
  g_autofree char *marked = g_strconcat("\xEF\xBB\xBF", good, NULL);
  g_autoptr(Dataset) dataset = open_text("aime24", "a.jsonl", marked, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(dataset_problem(dataset, 0)->answer, ==, "25");
}

#define GPQA_HEADER                                                                                                    \
  "Pre-Revision Question,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,Record ID\n"

static void test_gpqa_rows(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Dataset) dataset =
      open_text("gpqa-diamond", "g.csv",
                "\xEF\xBB\xBF" GPQA_HEADER "old,\"Say \"\"hi\"\",\r\nthen\",\" x\n\",y,x,\"z, z\",rec1\r\n\n"
                ",q,a,b,c,d,rec2",
                &error);
  g_assert_no_error(error);
  g_assert_cmpuint(dataset_size(dataset), ==, 2);
  g_assert_true(dataset_is_private(dataset));
  const DatasetProblem *problem = dataset_find(dataset, "rec1");
  const char *stripped[] = {"x", "y", "x", "z, z"};
  g_assert_cmpstr(problem->question, ==, "Say \"hi\",\r\nthen");
  for (int i = 0; i < 4; i++) g_assert_cmpstr(problem->options[i], ==, stripped[problem->order[i] - '0']);
  g_assert_cmpint(problem->order[problem->answer[0] - 'A'], ==, '0');

  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\"q\nq\",a,b,c,d,1\n,q,a,b,c,2\n",
                 "g.csv:4: the row has 6 fields|7");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q,a,b,c,d,1,\n", "g.csv:2|8 fields");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q,a,b,c,d,1\n,r,a,b,c,d,1\n", "g.csv:3|occurred before");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q,a,b,,d,1\n", "g.csv:2|\"Incorrect Answer 2\" is empty");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\"q,a,b,c,d,1\n", "g.csv:2|never ends");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\"q\"x,a,b,c,d,1\n", "g.csv:2|closing quote");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q\"x,a,b,c,d,1\n", "g.csv:2|unquoted");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q\rx,a,b,c,d,1\n", "g.csv:2|carriage return");
  assert_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\xc3,a,b,c,d,1\n", "g.csv:2|0xc3|UTF-8");
  assert_refused("gpqa-diamond", "g.csv", "Question,Question\nq,q\n", "occurs twice");
  assert_refused("gpqa-diamond", "g.csv", "Question\nq\n", "no column \"Correct Answer\"");
  assert_refused("gpqa-diamond", "g.csv", "", "no header");
}

/* ---- Real rows --------------------------------------------------------------------------------------------------- */

/* Opens ../shared/data/`file`; NULL, and the test skipped, where it is missing. */
static Dataset *open_real(const char *task, const char *file, const char *order) {
  g_autofree char *path = g_build_filename("../shared/data", file, NULL);
  if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
    g_test_skip("../shared/data is missing");
    return NULL;
  }
  g_autoptr(GError) error = NULL;
  DatasetOptions options = {.path = path, .option_order = order};
  Dataset *dataset = dataset_open(task, &options, &error);
  g_assert_no_error(error);
  return dataset;
}

static void test_real_math(void) {
  g_autoptr(Dataset) aime = open_real("aime24", "aime24.jsonl", NULL);
  if (!aime) return;
  g_assert_cmpuint(dataset_size(aime), ==, 30);
  g_assert_cmpstr(dataset_find(aime, "2024-I-1")->answer, ==, "204");
  g_autoptr(Dataset) math = open_real("math500", "math500.jsonl", NULL);
  g_assert_cmpuint(dataset_size(math), ==, 500);
  g_assert_cmpstr(dataset_problem(math, 0)->answer, ==, "\\left( 3, \\frac{\\pi}{2} \\right)");
}

static void test_real_choices(void) {
  g_autoptr(Dataset) dataset = open_real("gpqa-diamond", "gpqa_like_mmlupro.csv", "simple-evals");
  if (!dataset) return;
  static const char *const orders[] = {"3102", "3120", "2301", "2031"};
  g_assert_cmpuint(dataset_size(dataset), ==, 64);
  for (guint i = 0; i < 4; i++) g_assert_cmpstr(dataset_problem(dataset, i)->order, ==, orders[i]);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  folder = g_dir_make_tmp("test-datasets-XXXXXX", NULL);
  g_test_add_func("/datasets/pocket/aime", test_pocket_aime);
  g_test_add_func("/datasets/pocket/gpqa", test_pocket_gpqa);
  g_test_add_func("/datasets/pocket/livecodebench", test_pocket_livecodebench);
  g_test_add_func("/datasets/pocket/prompts", test_pocket_prompts);
  g_test_add_func("/datasets/math", test_math_rows_refused);
  g_test_add_func("/datasets/gpqa", test_gpqa_rows);
  g_test_add_func("/datasets/real/math", test_real_math);
  g_test_add_func("/datasets/real/choices", test_real_choices);
  return g_test_run();
}
