/* LiveCodeBench: which problems a task name asks for, the rows, their packed tests, the unpickler. */
#include "datasets/livecodebench.h"
#include "datasets/packed_tests.h"
#include "datasets/unpickle.h"
#include "tests/unit/dataset_text.h"
#include "tests/unit/shared_rows.h"

#include <unistd.h>
#include <zlib.h>

/* ---- Rows written here ------------------------------------------------------------------------------------------ */

/* One row as JSON text. NULL takes what a good stdin row has. */
typedef struct {
  const char *id, *date, *starter, *metadata, *public_tests, *private_tests;
} RowText;

static char *row_text_of(RowText row) {
  json_t *object = json_object();
  const char *fields[][2] = {{"question_title", "t"},
                             {"question_content", "Add."},
                             {"platform", "atcoder"},
                             {"question_id", row.id ? row.id : "a"},
                             {"contest_id", "c"},
                             {"contest_date", row.date ? row.date : "2024-08-03T00:00:00"},
                             {"starter_code", row.starter ? row.starter : ""},
                             {"difficulty", "easy"},
                             {"public_test_cases", row.public_tests ? row.public_tests : "[]"},
                             {"private_test_cases", row.private_tests ? row.private_tests : "[]"},
                             {"metadata", row.metadata ? row.metadata : "{}"}};
  for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) json_object_set_new(object, fields[i][0], json_string(fields[i][1]));
  char *text = json_dumps(object, 0);
  json_decref(object);
  char *line = g_strconcat(text, "\n", NULL);
  free(text);
  return line;
}

/* base64(zlib(bytes)) */
static char *pack(const void *bytes, gsize length) {
  uLongf packed_length = compressBound(length);
  g_autofree guchar *packed = g_malloc(packed_length);
  g_assert_cmpint(compress(packed, &packed_length, bytes, length), ==, Z_OK);
  return g_base64_encode(packed, packed_length);
}

/* A protocol 4 pickle of a str, as Python writes it: framed when the string is short of 64 KiB. */
static GByteArray *pickle(const char *text) {
  GByteArray *bytes = g_byte_array_new();
  guint32 length = GUINT32_TO_LE((guint32)strlen(text));
  guint64 frame = GUINT64_TO_LE(strlen(text) + (strlen(text) < 256 ? 4 : 7));
  g_byte_array_append(bytes, (const guint8 *)"\x80\x04", 2);
  if (strlen(text) < 65536) {
    g_byte_array_append(bytes, (const guint8 *)"\x95", 1);
    g_byte_array_append(bytes, (const guint8 *)&frame, 8);
  }
  if (strlen(text) < 256) {
    g_byte_array_append(bytes, (const guint8 *)"\x8c", 1);
    g_byte_array_append(bytes, (const guint8 *)&length, 1);
  } else {
    g_byte_array_append(bytes, (const guint8 *)"X", 1);
    g_byte_array_append(bytes, (const guint8 *)&length, 4);
  }
  g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text));
  g_byte_array_append(bytes, (const guint8 *)"\x94.", 2);
  return bytes;
}

static char *pack_tests(const char *json) {
  g_autoptr(GByteArray) bytes = pickle(json);
  return pack(bytes->data, bytes->len);
}

static GPtrArray *tests_of(RowText row, GError **error) {
  g_autofree char *text = row_text_of(row);
  g_autoptr(GError) failure = NULL;
  g_autoptr(Dataset) dataset = open_text("livecodebench", "row.jsonl", text, &failure);
  g_assert_no_error(failure);
  return dataset_tests(dataset, 0, error);
}

#define ONE_TEST(input, output) "{\"input\": \"" input "\", \"output\": \"" output "\", \"testtype\": \"stdin\"}"

/* ---- Selection -------------------------------------------------------------------------------------------------- */

static void test_selection(void) {
  static const struct {
    const char *suffix;
    guint first, last;
    gboolean named;
    const char *from, *to;
  } good[] = {
      {"", 1, 6, FALSE, "", ""},
      {"@release_v1", 1, 1, TRUE, "", ""},
      {"@release_v5", 1, 5, TRUE, "", ""},
      {"@release_latest", 1, 6, TRUE, "", ""},
      {"@v4", 4, 4, TRUE, "", ""},
      {"@v2_v5", 2, 5, TRUE, "", ""},
      {":2024-08-01..2025-01-31", 1, 6, FALSE, "2024-08-01", "2025-01-31"},
      {"@release_v5:2024-08-01..2025-01-31", 1, 5, TRUE, "2024-08-01", "2025-01-31"},
      {"@v6:2025-02-01..", 6, 6, TRUE, "2025-02-01", ""},
      {":..2024-02-29", 1, 6, FALSE, "", "2024-02-29"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    LcbSelection selection;
    g_autoptr(GError) error = NULL;
    g_assert_true(lcb_selection_parse(good[i].suffix, &selection, &error));
    g_assert_cmpuint(selection.first, ==, good[i].first);
    g_assert_cmpuint(selection.last, ==, good[i].last);
    g_assert_cmpint(selection.named, ==, good[i].named);
    g_assert_cmpstr(selection.from, ==, good[i].from);
    g_assert_cmpstr(selection.to, ==, good[i].to);
  }
  static const char *const bad[] = {"@",
                                    "@release_v0",
                                    "@release_v7",
                                    "@release_v11",
                                    "@v5_v2",
                                    "@v1_v7",
                                    "@5",
                                    "@release_v5 ",
                                    ":",
                                    ":2024-08-01",
                                    ":2024-13-01..",
                                    ":2023-02-29..",
                                    ":2025-01-31..2024-08-01",
                                    ":24-08-01..",
                                    ":2024-08-01...2025-01-31",
                                    ":2024-8-001..",
                                    "@v1@v2",
                                    ":a..b"};
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    LcbSelection selection;
    g_autoptr(GError) error = NULL;
    if (lcb_selection_parse(bad[i], &selection, &error)) g_error("\"%s\" was accepted", bad[i]);
    g_assert_error(error, DATASET_ERROR, DATASET_ERROR_NAME);
  }
}

/* The ids of a task read from a folder, joined. */
static char *ids_of(const char *task, const char *folder, GError **error) {
  DatasetOptions options = {.path = folder};
  g_autoptr(Dataset) dataset = dataset_open(task, &options, error);
  if (!dataset) return NULL;
  g_autoptr(GString) ids = g_string_new(NULL);
  for (guint i = 0; i < dataset_size(dataset); i++) g_string_append_printf(ids, "%s ", dataset_problem(dataset, i)->id);
  return g_string_free(g_steal_pointer(&ids), FALSE);
}

static void test_folder(void) {
  static const char *const days[] = {"2023-05-07T00:00:00", "2024-03-09T00:00:00", "2024-08-01T19:30:00",
                                     "2023-08-26T19:30:00", "2025-01-31T19:30:00", "2025-02-01T00:00:00"};
  for (guint version = 1; version <= 6; version++) {
    g_autofree char *id = g_strdup_printf("p%u", version),
                    *name = g_build_filename("lcb", lcb_file_name(version), NULL);
    g_autofree char *text = row_text_of((RowText){.id = id, .date = days[version - 1]});
    g_free(scratch_write(name, text, strlen(text)));
  }
  g_autofree char *folder = g_build_filename(scratch, "lcb", NULL);
  static const char *const expected[][2] = {
      {"livecodebench", "p1 p2 p3 p4 p5 p6 "},
      {"livecodebench@release_v2", "p1 p2 "},
      {"livecodebench@v3_v4", "p3 p4 "},
      {"livecodebench@release_v5:2024-08-01..2025-01-31", "p3 p5 "}, /* whole days, both included */
      {"livecodebench:2025-01-31..", "p5 p6 "},
      {"livecodebench:..2024-03-09", "p1 p2 p4 "},
  };
  g_autoptr(GError) error = NULL;
  for (gsize i = 0; i < G_N_ELEMENTS(expected); i++) {
    g_autofree char *ids = ids_of(expected[i][0], folder, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(ids, ==, expected[i][1]);
  }
  g_assert_null(ids_of("livecodebench:2026-01-01..", folder, &error));
  assert_says(error, "no rows in the window");
  g_clear_error(&error);
  g_autofree char *first = g_build_filename(folder, "test.jsonl", NULL),
                  *last = g_build_filename(folder, "test6.jsonl", NULL);
  g_assert_null(ids_of("livecodebench@release_v1", first, &error));
  assert_says(error, "one file|folder");
  g_clear_error(&error);
  g_unlink(last);
  g_assert_null(ids_of("livecodebench", folder, &error));
  g_assert_error(error, DATASET_ERROR, DATASET_ERROR_MISSING);
  assert_says(error, "test6.jsonl");
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

static void assert_row_refused(RowText row, const char *words) {
  g_autofree char *text = row_text_of(row);
  assert_text_refused("livecodebench", "row.jsonl", text, words);
}

static void test_rows(void) {
  g_autoptr(GError) error = NULL;
  g_autofree char *functional =
      row_text_of((RowText){.starter = "class Solution:", .metadata = "{\"func_name\": \"addThem\"}"});
  g_autoptr(Dataset) dataset = open_text("livecodebench", "f.jsonl", functional, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(dataset_problem(dataset, 0)->function_name, ==, "addThem");
  g_assert_cmpstr(dataset_problem(dataset, 0)->starter_code, ==, "class Solution:");

  assert_row_refused((RowText){.id = ""}, "row.jsonl:1|question_id");
  assert_row_refused((RowText){.date = "yesterday"}, "contest_date|yesterday");
  assert_row_refused((RowText){.metadata = "[]"}, "metadata");
  assert_row_refused((RowText){.metadata = "{\"func_name\": \"os.system\"}", .starter = "x"}, "os.system|Python name");
  assert_row_refused((RowText){.metadata = "{\"func_name\": \"f\\n\"}", .starter = "x"}, "Python name");
  assert_row_refused((RowText){.metadata = "{\"func_name\": \"f\"}"}, "no starter_code");
  assert_row_refused((RowText){.starter = "class Solution:"}, "no function is named");
  assert_text_refused("livecodebench", "r.jsonl", "{\"question_id\": \"a\"}", "r.jsonl:1|private_test_cases");
  assert_text_refused("livecodebench", "r.jsonl", "{\"private_test_cases\": 1}", "private_test_cases");
  assert_text_refused("livecodebench", "r.jsonl", "{\"private_test_cases\": \"", "r.jsonl:1");
  assert_text_refused("livecodebench", "r.jsonl", "{\"private_test_cases\": \"\", \"private_test_cases\": \"\"}",
                      "duplicate");
  assert_text_refused("livecodebench", "r.jsonl", "{\"private_test_cases\": \"\"} {}", "r.jsonl:1");
  g_autofree char *twice = g_strconcat(functional, functional, NULL);
  assert_text_refused("livecodebench", "r.jsonl", twice, "r.jsonl:2|occurred before");
}

/* A fingerprint changes with every part of what is asked and tested, and with nothing else. */
static void test_fingerprints(void) {
  const RowText rows[] = {{0},
                          {.id = "b", .date = "2020-01-01"},
                          {.public_tests = "[" ONE_TEST("1", "2") "]"},
                          {.private_tests = "[" ONE_TEST("1", "2") "]"},
                          {.starter = "x", .metadata = "{\"func_name\": \"f\"}"},
                          {.starter = "x", .metadata = "{\"func_name\": \"g\"}"}};
  g_autofree char *prints[G_N_ELEMENTS(rows)] = {NULL};
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = row_text_of(rows[i]);
    g_autoptr(Dataset) dataset = open_text("livecodebench", "row.jsonl", text, NULL);
    prints[i] = g_strdup(dataset_problem(dataset, 0)->fingerprint);
    for (gsize j = 0; j < i; j++) g_assert_cmpint(strcmp(prints[i], prints[j]) == 0, ==, i == 1 && j == 0);
  }
  for (gsize i = 1; i < G_N_ELEMENTS(rows); i++) g_free(prints[i]);
}

/* ---- Packed tests ----------------------------------------------------------------------------------------------- */

static void test_packed(void) {
  g_autoptr(GError) error = NULL;
  g_autofree char *long_input = g_strnfill(100000, '7');
  g_autofree char *long_list = g_strconcat("[" ONE_TEST("3\\n", "4\\u00e9") ", {\"output\": \"", long_input,
                                           "\", \"testtype\": \"stdin\", \"input\": \"\\u0000[{\"}]", NULL);
  g_autofree char *small = pack_tests("[" ONE_TEST("3\\n", "4\\u00e9") "]"), *large = pack_tests(long_list);
  const char *private_tests[] = {small, large, "[" ONE_TEST("3\\n", "4\\u00e9") "]"};
  for (gsize i = 0; i < G_N_ELEMENTS(private_tests); i++) {
    g_autoptr(GPtrArray) tests =
        tests_of((RowText){.public_tests = " [ " ONE_TEST("1", "2") " ] ", .private_tests = private_tests[i]}, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(tests->len, ==, i == 1 ? 3 : 2);
    const DatasetTest *first = tests->pdata[0], *second = tests->pdata[1];
    g_assert_cmpstr(first->input, ==, "1");
    g_assert_cmpstr(second->input, ==, "3\n");
    g_assert_cmpstr(second->output, ==, "4é");
    g_assert_cmpuint(second->output_length, ==, 3);
    if (i != 1) continue;
    const DatasetTest *third = tests->pdata[2];
    g_assert_cmpmem(third->input, third->input_length, "\0[{", 3);
    g_assert_cmpstr(third->output, ==, long_input);
  }
  /* base64 whose slashes are escaped, as some writers of JSON do */
  g_autofree char *row = row_text_of((RowText){.private_tests = small});
  g_auto(GStrv) pieces = g_strsplit(row, "/", -1);
  g_autofree char *escaped = g_strjoinv("\\/", pieces);
  g_autoptr(Dataset) dataset = open_text("livecodebench", "row.jsonl", escaped, &error);
  g_autoptr(GPtrArray) tests = dataset_tests(dataset, 0, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(tests->len, ==, 1);
}

static void assert_tests_refused(RowText row, const char *words) {
  g_autoptr(GError) error = NULL;
  g_assert_null(tests_of(row, &error));
  g_assert_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT);
  assert_says(error, words);
}

static void test_packed_refused(void) {
  assert_tests_refused((RowText){0}, "row.jsonl:1|\"a\" has no tests");
  assert_tests_refused((RowText){.private_tests = ""}, "private_test_cases of \"a\"|neither");
  assert_tests_refused((RowText){.private_tests = "eJx"}, "neither");
  assert_tests_refused((RowText){.private_tests = "e!!!"}, "neither");
  assert_tests_refused((RowText){.private_tests = "AAAA"}, "zlib");
  assert_tests_refused((RowText){.public_tests = "{}"}, "public_test_cases of \"a\"|list");
  assert_tests_refused((RowText){.public_tests = "["}, "cut off after test 0");
  assert_tests_refused((RowText){.public_tests = "[" ONE_TEST("1", "2")}, "behind test 0");
  assert_tests_refused((RowText){.public_tests = "[" ONE_TEST("1", "2") ",]"}, "test 1");
  assert_tests_refused((RowText){.public_tests = "[] []"}, "text behind");
  assert_tests_refused((RowText){.public_tests = "[1]"}, "test 0");
  assert_tests_refused((RowText){.public_tests = "[{\"input\": \"\", \"output\": \"\"}]"}, "test 0|testtype");
  assert_tests_refused((RowText){.public_tests = "[{\"input\": \"\", \"output\": \"\", \"testtype\": \"x\"}]"},
                       "\"x\"|stdin");
  assert_tests_refused((RowText){.public_tests = "[{\"input\": 1, \"output\": \"\", \"testtype\": \"stdin\"}]"},
                       "test 0");
  g_autoptr(GByteArray) good = pickle("[]");
  g_autofree char *packed = pack(good->data, good->len);
  gsize length;
  g_autofree guchar *stream = g_base64_decode(packed, &length);
  g_autofree char *cut = g_base64_encode(stream, length - 5), *more = NULL;
  assert_tests_refused((RowText){.private_tests = cut}, "ends early");
  g_autofree guchar *longer = g_malloc0(length + 3);
  memcpy(longer, stream, length);
  more = g_base64_encode(longer, length + 3);
  assert_tests_refused((RowText){.private_tests = more}, "3 bytes behind");
}

static void test_file_changed(void) {
  g_autofree char *before = row_text_of((RowText){.id = "one"}), *after = row_text_of((RowText){.id = "two"});
  g_autoptr(Dataset) dataset = open_text("livecodebench", "row.jsonl", before, NULL);
  g_autofree char *path = g_build_filename(scratch, "row.jsonl", NULL);
  FILE *file = fopen(path, "r+"); /* in place: a renamed file would not be seen */
  fputs(after, file);
  fclose(file);
  g_autoptr(GError) error = NULL;
  g_assert_null(dataset_tests(dataset, 0, &error));
  assert_says(error, "not \"one\" any more");
  g_clear_error(&error);
  g_assert_cmpint(truncate(path, 10), ==, 0);
  g_assert_null(dataset_tests(dataset, 0, &error));
  g_assert_error(error, DATASET_ERROR, DATASET_ERROR_IO);
}

static void test_inflate(void) {
  gsize length = 1 << 20, out_length;
  g_autofree guchar *zeros = g_malloc0(length), *packed = g_malloc(length);
  uLongf packed_length = length;
  g_assert_cmpint(compress(packed, &packed_length, zeros, length), ==, Z_OK);
  g_autoptr(GError) error = NULL;
  g_autofree guchar *whole = inflate_capped(packed, packed_length, length, &out_length, &error);
  g_assert_no_error(error);
  g_assert_cmpmem(whole, out_length, zeros, length);
  g_assert_null(inflate_capped(packed, packed_length, length - 1, &out_length, &error));
  assert_says(error, "more than the 1048575 bytes");
}

/* ---- The unpickler ---------------------------------------------------------------------------------------------- */

static void assert_unpickles(const char *bytes, gsize length, const char *expected) {
  g_autoptr(GError) error = NULL;
  const char *text;
  gsize text_length;
  g_autofree guchar *exact = g_memdup2(bytes, length); /* so that a sanitizer sees a read beyond */
  g_assert_true(unpickle_string(exact, length, &text, &text_length, &error));
  g_assert_cmpmem(text, text_length, expected, strlen(expected));
}

static void assert_pickle_refused(const char *bytes, gsize length, const char *words) {
  g_autoptr(GError) error = NULL;
  const char *text;
  gsize text_length;
  g_autofree guchar *exact = g_memdup2(bytes, length + !length);
  g_assert_false(unpickle_string(exact, length, &text, &text_length, &error));
  g_assert_error(error, DATASET_ERROR, DATASET_ERROR_FORMAT);
  assert_says(error, words);
}

#define BYTES(text) text, sizeof text - 1

static void test_unpickle(void) {
  assert_unpickles(BYTES("\x80\x04\x95\x06\0\0\0\0\0\0\0\x8c\x02hi\x94."), "hi");
  assert_unpickles(BYTES("\x80\x02X\x02\0\0\0hiq\0."), "hi");
  assert_unpickles(BYTES("\x80\x05\x8d\x02\0\0\0\0\0\0\0hi\x94."), "hi");
  assert_unpickles(BYTES("\x80\x03X\0\0\0\0."), "");

  assert_pickle_refused(BYTES(""), "without STOP");
  assert_pickle_refused(BYTES("\x80"), "ends inside");
  assert_pickle_refused(BYTES("\x80\x04"), "without STOP");
  assert_pickle_refused(BYTES("\x80\x04."), "no string");
  assert_pickle_refused(BYTES("\x80\x01X\0\0\0\0."), "protocol");
  assert_pickle_refused(BYTES("\x80\x06X\0\0\0\0."), "protocol");
  assert_pickle_refused(BYTES("X\0\0\0\0."), "PROTO must come first");
  assert_pickle_refused(BYTES("\x80\x04\x80\x04X\0\0\0\0."), "PROTO must come first");
  assert_pickle_refused(BYTES("\x80\x04X\x03\0\0\0hi"), "longer than the pickle");
  assert_pickle_refused(BYTES("\x80\x04X\xff\xff\xff\xffhi."), "longer than the pickle");
  assert_pickle_refused(BYTES("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffhi."), "longer than the pickle");
  assert_pickle_refused(BYTES("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff."), "frame is longer");
  assert_pickle_refused(BYTES("\x80\x04X\x02\0\0\0hiX\x02\0\0\0hi."), "second string");
  assert_pickle_refused(BYTES("\x80\x04X\x02\0\0\0hi.x"), "bytes behind STOP");
  assert_pickle_refused(BYTES("\x80\x04X\x02\0\0\0h\xff."), "UTF-8");
  assert_pickle_refused(BYTES("\x80\x04X\x03\0\0\0\xed\xa0\x80."), "UTF-8"); /* a lone surrogate */
  assert_pickle_refused(BYTES("\x80\x04"
                              "cos\nsystem\n(S'id'\ntR."),
                        "byte 2: opcode 0x63 is refused");                                /* GLOBAL */
  assert_pickle_refused(BYTES("\x80\x04\x8c\x02os\x8c\x06system\x93."), "second string"); /* STACK_GLOBAL */
  assert_pickle_refused(BYTES("\x80\x04\x8c\x02osR."), "opcode 0x52");                    /* REDUCE */
  assert_pickle_refused(BYTES("\x80\x04\x8c\x02os"
                              "b."),
                        "opcode 0x62"); /* BUILD */
  for (int opcode = 0; opcode < 256; opcode++) {
    char bytes[] = "\x80\x04?........................";
    if (strchr("\x80\x95\x8c\x8dX\x94q.", opcode) && opcode) continue;
    bytes[2] = (char)opcode;
    assert_pickle_refused(bytes, sizeof bytes - 1, "is refused");
  }
}

/* ---- Real rows -------------------------------------------------------------------------------------------------- */

/* Appends text as Python's json.dumps writes a str: ASCII, lower-case \u escapes, surrogate pairs. */
static void append_python_string(GString *out, const char *text, gsize length) {
  g_string_append_c(out, '"');
  for (const char *p = text; p < text + length; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    static const char plain[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
    const char *escaped = c && c < 0x80 ? strchr(plain, (int)c) : NULL;
    if (escaped)
      g_string_append_printf(out, "\\%c", letters[escaped - plain]);
    else if (c >= 0x20 && c < 0x7f)
      g_string_append_c(out, (char)c);
    else if (c < 0x10000)
      g_string_append_printf(out, "\\u%04x", c);
    else
      g_string_append_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
  }
  g_string_append_c(out, '"');
}

/* md5 of json.dumps({"input_output": json.dumps({"inputs": ..., "outputs": ..., "fn_name": ...})}): QwQ's checksum of a
 * test set. */
static char *qwq_md5(const GPtrArray *tests, const char *function) {
  g_autoptr(GString) inner = g_string_new("{\"inputs\": ["), outer = g_string_new("{\"input_output\": ");
  for (int field = 0; field < 2; field++) {
    if (field) g_string_append(inner, "], \"outputs\": [");
    for (guint i = 0; i < tests->len; i++) {
      const DatasetTest *test = tests->pdata[i];
      if (i) g_string_append(inner, ", ");
      append_python_string(inner, field ? test->output : test->input, field ? test->output_length : test->input_length);
    }
  }
  g_string_append(inner, "], \"fn_name\": ");
  if (function)
    append_python_string(inner, function, strlen(function));
  else
    g_string_append(inner, "null");
  g_string_append_c(inner, '}');
  append_python_string(outer, inner->str, inner->len);
  g_string_append_c(outer, '}');
  return g_compute_checksum_for_data(G_CHECKSUM_MD5, (guchar *)outer->str, outer->len);
}

static void test_md5_rule(void) {
  const char *input = "[1,\"é\n😀\"]\n2", *output = "\"\x7f\x01/\"";
  DatasetTest test = {(char *)input, strlen(input), (char *)output, strlen(output), TRUE};
  g_autoptr(GPtrArray) tests = g_ptr_array_new();
  g_ptr_array_add(tests, &test);
  g_autofree char *sum = qwq_md5(tests, "f");
  g_assert_cmpstr(sum, ==, "ff2295a9b02360667cbd609c8b7ad79f");
}

/* The whole data set as the Hugging Face cache has it: the 279 problems of the DeepSeek-R1 window, every test set. */
static void test_window(void) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Dataset) dataset = dataset_open("livecodebench@release_v5:2024-08-01..2025-01-31", NULL, &error);
  if (!dataset) {
    g_assert_error(error, DATASET_ERROR, DATASET_ERROR_MISSING);
    g_test_skip(error->message);
    return;
  }
  json_t *expected = shared_rows("lcb_v5_tests_md5_qwq.jsonl");
  if (!expected) return;
  g_assert_cmpuint(dataset_size(dataset), ==, 279);
  for (guint i = 0; i < dataset_size(dataset); i++) {
    const DatasetProblem *problem = dataset_problem(dataset, i);
    g_autoptr(GPtrArray) tests = dataset_tests(dataset, i, &error);
    g_assert_no_error(error);
    g_autofree char *sum = qwq_md5(tests, problem->function_name);
    for (size_t row = 0; row < json_array_size(expected); row++)
      if (g_strcmp0(row_text(json_array_get(expected, row), "question_id"), problem->id) == 0)
        g_assert_cmpstr(sum, ==, row_text(json_array_get(expected, row), "md5"));
  }
  json_decref(expected);
}

static void test_real_rows(void) {
  json_t *rows = shared_rows("lcb_problems.jsonl");
  if (!rows) return;
  g_autoptr(GError) error = NULL;
  DatasetOptions options = {.path = "../shared/data/lcb_problems.jsonl"};
  g_autoptr(Dataset) dataset = dataset_open("livecodebench", &options, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(dataset_size(dataset), ==, 1055);
  guint functional = 0;
  for (guint i = 0; i < dataset_size(dataset); i++) {
    json_t *row = json_array_get(rows, i);
    const DatasetProblem *problem = dataset_problem(dataset, i);
    g_assert_cmpstr(problem->id, ==, row_text(row, "question_id"));
    g_assert_cmpstr(problem->question, ==, row_text(row, "question_content"));
    functional += problem->function_name != NULL;
    g_autoptr(GPtrArray) tests = dataset_tests(dataset, i, &error);
    json_int_t published = json_integer_value(json_object_get(row, "_n_public"));
    json_int_t recovered = json_integer_value(json_object_get(row, "_n_recovered_private"));
    if (published + recovered == 0) { /* of abc350_c this copy has none */
      assert_says(error, "has no tests at all");
      g_clear_error(&error);
      continue;
    }
    g_assert_no_error(error);
    if (strcmp(problem->id, "1873_A") == 0) { /* the one whose private tests are the original ones */
      g_autofree char *sum = qwq_md5(tests, NULL);
      g_assert_cmpstr(sum, ==, "ca7cd2e24ce25c824e96845f0e3b2a62");
    } else {
      g_assert_cmpint(tests->len, ==, published + recovered);
    }
  }
  g_assert_cmpuint(functional, ==, 444);
  json_decref(rows);
  /* The paper's 323 problems: release_v6 in its window. */
  g_autoptr(Dataset) window = dataset_open("livecodebench:2024-08-01..2025-01-31", &options, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(dataset_size(window), ==, 323);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  scratch_make();
  g_test_add_func("/livecodebench/selection", test_selection);
  g_test_add_func("/livecodebench/folder", test_folder);
  g_test_add_func("/livecodebench/rows", test_rows);
  g_test_add_func("/livecodebench/fingerprints", test_fingerprints);
  g_test_add_func("/livecodebench/packed", test_packed);
  g_test_add_func("/livecodebench/packed-refused", test_packed_refused);
  g_test_add_func("/livecodebench/file-changed", test_file_changed);
  g_test_add_func("/livecodebench/inflate", test_inflate);
  g_test_add_func("/livecodebench/unpickle", test_unpickle);
  g_test_add_func("/livecodebench/md5-rule", test_md5_rule);
  g_test_add_func("/livecodebench/real-rows", test_real_rows);
  g_test_add_func("/livecodebench/window", test_window);
  int status = g_test_run();
  scratch_remove();
  return status;
}
