/* The readers on the pocket suites, on files written here, and on the real rows of ../shared/data. */
#include "datasets/archive.h"
#include "datasets/option_order.h"
#include "tests/unit/dataset_text.h"

#include <jansson.h>
#include <string.h>
#include <zip.h>

static Dataset *open_pocket(const char *task) {
  g_autoptr(GError) error = NULL;
  Dataset *dataset = dataset_open(task, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(dataset_size(dataset), ==, 30);
  return dataset;
}

/* ---- Pocket suites ----------------------------------------------------------------------------------------------- */

static const DatasetProblem *named(const Dataset *dataset, const char *id) {
  return dataset_problem(dataset, (guint)dataset_find(dataset, id));
}

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
  g_assert_cmpint(dataset_find(dataset, "pocket-30"), ==, 29);
  g_assert_cmpint(dataset_find(dataset, "pocket-31"), ==, -1);
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

/* ---- What ships ------------------------------------------------------------------------------------------------- */

static void test_shipped(void) {
  g_autofree char *found = dataset_shipped("pocket/aime.jsonl");
  g_assert_true(g_str_has_suffix(found, "/datasets/pocket/aime.jsonl"));
  g_assert_null(dataset_shipped("pocket/none.jsonl"));
  g_assert_null(dataset_shipped("../datasets/pocket/aime.jsonl"));
  g_assert_null(dataset_shipped("/etc/passwd"));
  g_autofree char *own = scratch_write("data/pocket/aime.jsonl", "", 0),
                  *data = g_build_filename(scratch, "data", NULL);
  g_setenv("HYPERSCALE_DATA", data, TRUE);
  g_autofree char *preferred = dataset_shipped("pocket/aime.jsonl"), *other = dataset_shipped("pocket/gpqa.csv");
  g_unsetenv("HYPERSCALE_DATA");
  g_assert_cmpstr(preferred, ==, own);
  g_assert_true(g_str_has_suffix(other, "/datasets/pocket/gpqa.csv"));
}

static void test_model_dir(void) {
  static const char *const pocket[] = {"pocket-reasoner", "pocket-reasoner-dms-2x", "pocket-reasoner-dms-4x",
                                       "pocket-reasoner-dms-8x"};
  g_autoptr(GError) error = NULL;
  for (gsize i = 0; i < G_N_ELEMENTS(pocket); i++) {
    g_autofree char *folder = dataset_model_dir(pocket[i], &error), *config = NULL;
    g_assert_no_error(error);
    config = g_build_filename(folder, "config.json", NULL);
    g_assert_true(g_file_test(config, G_FILE_TEST_IS_REGULAR));
  }
  g_autofree char *given = dataset_model_dir(scratch, &error);
  g_assert_cmpstr(given, ==, scratch);
  static const char *const missing[][2] = {{"pocket-reasoner-dms-3x", "pocket-reasoner-dms-4x"},
                                           {"./no/such/folder", "no folder \"./no/such/folder\""},
                                           {"acme/model", "hyperscale fetch acme/model@main"},
                                           {"acme/model@v2", "hyperscale fetch acme/model@v2"},
                                           {"../../no-such-folder", "no folder"}};
  for (gsize i = 0; i < G_N_ELEMENTS(missing); i++) {
    g_assert_null(dataset_model_dir(missing[i][0], &error));
    assert_says(error, missing[i][1]);
    g_clear_error(&error);
  }
}

/* ---- Hostile rows ------------------------------------------------------------------------------------------------ */

static void test_math_rows_refused(void) {
  const char *good = "{\"id\": 1, \"problem\": \"p\", \"answer\": \"025\"}\r\n\n";
  g_autofree char *again = g_strconcat(good, good, NULL);
  assert_text_refused("aime24", "a.jsonl", again, "a.jsonl:3|id \"1\" occurred before, in line 1");
  assert_text_refused("aime24", "a.jsonl", "", "no rows");
  assert_text_refused("aime24", "a.jsonl", "[1]\n", "a.jsonl:1|no JSON object");
  assert_text_refused("aime24", "a.jsonl", "\n{\"id\": 1,", "a.jsonl:2");
  assert_text_refused("aime24", "a.jsonl", "{\"problem\": \"p\", \"problem\": \"p\"}", "a.jsonl:1|duplicate");
  assert_text_refused("aime24", "a.jsonl", "{\"problem\": \"p\", \"answer\": 1000}", "\"answer\" is \"1000\"|0 to 999");
  assert_text_refused("aime24", "a.jsonl", "{\"problem\": \"p\", \"answer\": \"-1\"}", "\"answer\" is \"-1\"");
  assert_text_refused("aime24", "a.jsonl", "{\"problem\": \"p\"}", "\"answer\" is missing");
  assert_text_refused("aime24", "a.jsonl", "{\"problem\": [1], \"answer\": 1}", "\"problem\" is [1]");
  assert_text_refused("aime24", "a.jsonl", "{\"problem\": \"\\u0000\", \"answer\": 1}", "a.jsonl:1");
  assert_text_refused("aime24", "a.jsonl", "{\"problem\": \"\xff\", \"answer\": 1}", "a.jsonl:1|byte 0xff");
  g_autofree char *deep = g_strnfill(1000000, '[');
  assert_text_refused("aime24", "a.jsonl", deep, "a.jsonl:1");
  assert_text_refused("aime26", "a.jsonl", good, "no task \"aime26\"|aime25");
  assert_text_refused("aime24@v1", "a.jsonl", good, "no task \"aime24@v1\"");
  g_autoptr(GError) error = NULL;
  g_autofree char *marked = g_strconcat("\xEF\xBB\xBF", good, NULL);
  g_autoptr(Dataset) dataset = open_text("aime24", "a.jsonl", marked, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(dataset_problem(dataset, 0)->answer, ==, "25");
  g_autoptr(Dataset) qwq = open_text("aime25", "q.jsonl",
                                     "{\"prompt\": \"x?\\nPlease reason step by step, and put your final answer within "
                                     "\\\\boxed{}.\", \"answer\": 70}",
                                     &error);
  g_assert_no_error(error);
  g_assert_cmpstr(dataset_problem(qwq, 0)->id, ==, "1");
  g_assert_cmpstr(dataset_problem(qwq, 0)->question, ==, "x?");
  g_assert_cmpstr(dataset_problem(qwq, 0)->answer, ==, "70");
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
  const DatasetProblem *problem = named(dataset, "rec1");
  const char *stripped[] = {"x", "y", "x", "z, z"};
  g_assert_cmpstr(problem->question, ==, "Say \"hi\",\r\nthen");
  for (int i = 0; i < 4; i++) g_assert_cmpstr(problem->options[i], ==, stripped[problem->order[i] - '0']);
  g_assert_cmpint(problem->order[problem->answer[0] - 'A'], ==, '0');

  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\"q\nq\",a,b,c,d,1\n,q,a,b,c,2\n",
                      "g.csv:4: the row has 6 fields|7");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q,a,b,c,d,1,\n", "g.csv:2|8 fields");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q,a,b,c,d,1\n,r,a,b,c,d,1\n", "g.csv:3|occurred before");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q,a,b,,d,1\n", "g.csv:2|\"Incorrect Answer 2\" is empty");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\"q,a,b,c,d,1\n", "g.csv:2|never ends");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\"q\"x,a,b,c,d,1\n", "g.csv:2|closing quote");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q\"x,a,b,c,d,1\n", "g.csv:2|unquoted");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",q\rx,a,b,c,d,1\n", "g.csv:2|carriage return");
  assert_text_refused("gpqa-diamond", "g.csv", GPQA_HEADER ",\xc3,a,b,c,d,1\n", "g.csv:2|0xc3|UTF-8");
  assert_text_refused("gpqa-diamond", "g.csv", "Question,Question\nq,q\n", "occurs twice");
  assert_text_refused("gpqa-diamond", "g.csv", "Question\nq\n", "no column \"Correct Answer\"");
  assert_text_refused("gpqa-diamond", "g.csv", "", "no header");
}

/* ---- The order of options --------------------------------------------------------------------------------------- */

/* What Python prints for json.dumps([rng.sample(range(4), 4) for all 4 repeats of 198 rows]). */
static void test_simple_evals_order(void) {
  OptionOrder orders[4 * 198];
  option_order_simple_evals(orders, G_N_ELEMENTS(orders));
  g_autoptr(GString) text = g_string_new("[");
  for (gsize i = 0; i < G_N_ELEMENTS(orders); i++) {
    const guchar *order = orders[i].order;
    g_string_append_printf(text, "%s[%d, %d, %d, %d]", i ? ", " : "", order[0], order[1], order[2], order[3]);
  }
  g_string_append(text, "]");
  g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
  g_assert_cmpstr(sum, ==, "1b9198b96b7da6ac0e1c23cb37f2fc9865d2ff39bce2343d608206c7f4666a37");
}

/* The rule of option_order.h, written out: ranks are those of SHA-256("hyperscale option order\n" seed "\n" id). */
static void test_seeded_order(void) {
  guint seen[256] = {0}, golds[OPTIONS] = {0};
  for (guint i = 0; i < 2400; i++) {
    g_autofree char *id = g_strdup_printf("rec%u", i);
    OptionOrder order = option_order_seeded(0, id);
    guint bits = 0;
    for (guint letter = 0; letter < OPTIONS; letter++) {
      bits |= 1u << order.order[letter];
      if (order.order[letter] == 0) golds[letter]++;
    }
    g_assert_cmpuint(bits, ==, 15);
    seen[order.order[0] << 4 | order.order[1] << 2 | order.order[2]]++;
  }
  for (guint letter = 0; letter < OPTIONS; letter++) g_assert_cmpuint(golds[letter], >, 500);
  guint orders = 0;
  for (guint i = 0; i < G_N_ELEMENTS(seen); i++) orders += seen[i] > 50;
  g_assert_cmpuint(orders, ==, 24);
  static const struct {
    guint64 seed;
    const char *id, *order;
  } rows[] = {{0, "pocket001", "0312"}, {1, "pocket001", "0123"}, {G_MAXUINT64, "recE", "2013"}};
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    OptionOrder order = option_order_seeded(rows[i].seed, rows[i].id);
    for (guint j = 0; j < OPTIONS; j++) g_assert_cmpint(order.order[j] + '0', ==, rows[i].order[j]);
  }
}

/* A row keeps its letters when others come and go, and another seed gives another order to some row. */
static void test_orders_of_rows(void) {
  g_autoptr(Dataset) whole = open_pocket("pocket-gpqa");
  g_autofree char *path = dataset_shipped("pocket/gpqa.csv"), *text = NULL;
  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  char *second = strchr(text, '\n') + 1;
  g_autofree char *less = g_strdup_printf("%.*s%s", (int)(second - text), text, strchr(second, '\n') + 1);
  g_autoptr(Dataset) part = open_text("pocket-gpqa", "part.csv", less, NULL);
  g_assert_cmpuint(dataset_size(part), ==, 29);
  DatasetOptions options = {.path = path, .seed = 1};
  g_autoptr(Dataset) other = dataset_open("pocket-gpqa", &options, NULL);
  guint differ = 0;
  for (guint i = 0; i < 29; i++) {
    const DatasetProblem *kept = dataset_problem(part, i), *before = named(whole, kept->id);
    const DatasetProblem *reseeded = named(other, kept->id);
    g_assert_cmpstr(kept->order, ==, before->order);
    g_assert_cmpstr(kept->fingerprint, ==, before->fingerprint);
    gboolean same = strcmp(kept->order, reseeded->order) == 0;
    g_assert_cmpint(strcmp(kept->fingerprint, reseeded->fingerprint) == 0, ==, same);
    differ += !same;
  }
  g_assert_cmpuint(differ, >, 20);
  options.option_order = "alphabetical";
  g_autoptr(GError) error = NULL;
  g_assert_null(dataset_open("pocket-gpqa", &options, &error));
  g_assert_error(error, DATASET_ERROR, DATASET_ERROR_NAME);
}

/* ---- GPQA's archive --------------------------------------------------------------------------------------------- */

static char *write_archive(const char *name, const char *entry, const char *text, const char *password) {
  char *path = g_build_filename(scratch, name, NULL);
  zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
  zip_int64_t index = zip_file_add(archive, entry, zip_source_buffer(archive, text, strlen(text), 0), 0);
  g_assert_cmpint(index, >=, 0);
  g_assert_cmpint(zip_file_set_encryption(archive, (zip_uint64_t)index, ZIP_EM_TRAD_PKWARE, password), ==, 0);
  g_assert_cmpint(zip_close(archive), ==, 0);
  return path;
}

static void assert_archive_refused(const char *path, const char *words) {
  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
  g_autoptr(GError) error = NULL;
  DatasetOptions options = {.path = path};
  g_assert_null(dataset_open("gpqa-diamond", &options, &error));
  g_assert_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT);
  assert_says(error, words);
}

static void test_archive(void) {
  const char *csv = GPQA_HEADER ",q,a,b,c,d,rec1\n", *entry = "dataset/gpqa_diamond.csv";
  g_autoptr(GError) error = NULL;
  g_autofree char *good = write_archive("good.zip", entry, csv, "deserted-untie-orchid");
  DatasetOptions options = {.path = good};
  g_autoptr(Dataset) dataset = dataset_open("gpqa-diamond", &options, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(dataset_size(dataset), ==, 1);
  g_autofree char *other = write_archive("other.zip", entry, csv, "another");
  assert_archive_refused(other, entry);
  g_autofree char *missing = write_archive("missing.zip", "../gpqa_diamond.csv", csv, "deserted-untie-orchid");
  assert_archive_refused(missing, "No such file");

  g_autofree char *bytes = NULL;
  gsize length;
  g_assert_true(g_file_get_contents(good, &bytes, &length, NULL));
  g_autofree char *cut = g_build_filename(scratch, "cut.zip", NULL);
  g_assert_true(g_file_set_contents(cut, bytes, (gssize)length - 30, NULL));
  assert_archive_refused(cut, "not a zip archive");
  bytes[90] ^= 1; /* inside the encrypted text: its CRC no longer holds */
  g_assert_true(g_file_set_contents(cut, bytes, (gssize)length, NULL));
  assert_archive_refused(cut, entry);

  gsize unpacked;
  bytes[90] ^= 1;
  g_assert_null(archive_read(bytes, length, "x", entry, "deserted-untie-orchid", 10, &unpacked, &error));
  g_assert_nonnull(strstr(error->message, "larger than"));
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
  g_assert_cmpstr(named(aime, "2024-I-1")->answer, ==, "204");
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
  scratch_make();
  g_test_add_func("/datasets/pocket/aime", test_pocket_aime);
  g_test_add_func("/datasets/pocket/gpqa", test_pocket_gpqa);
  g_test_add_func("/datasets/pocket/livecodebench", test_pocket_livecodebench);
  g_test_add_func("/datasets/pocket/prompts", test_pocket_prompts);
  g_test_add_func("/datasets/shipped", test_shipped);
  g_test_add_func("/datasets/model-dir", test_model_dir);
  g_test_add_func("/datasets/math", test_math_rows_refused);
  g_test_add_func("/datasets/gpqa", test_gpqa_rows);
  g_test_add_func("/datasets/order/simple-evals", test_simple_evals_order);
  g_test_add_func("/datasets/order/seeded", test_seeded_order);
  g_test_add_func("/datasets/order/rows", test_orders_of_rows);
  g_test_add_func("/datasets/archive", test_archive);
  g_test_add_func("/datasets/real/math", test_real_math);
  g_test_add_func("/datasets/real/choices", test_real_choices);
  int status = g_test_run();
  scratch_remove();
  return status;
}
