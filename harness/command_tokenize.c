/* hyperscale tokenize: JSON strings to token ids and back, one a line. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "datasets/dataset.h"
#include "engine/engine.h"
#include "harness/command.h"

static gboolean decode, plain;

static const GOptionEntry entries[] = {
    {"decode", 'd', 0, G_OPTION_ARG_NONE, &decode, "Read arrays of ids, print strings (special tokens kept)", NULL},
    {"plain", 0, 0, G_OPTION_ARG_NONE, &plain, "Special tokens spelled out in the text stay text", NULL},
    G_OPTION_ENTRY_NULL,
};

static int run(int argc, char **argv);
const Command command_tokenize = {
    "tokenize", "MODEL [FILE]", "Turn JSON strings into token ids, or back",
    "Reads one JSON string a line from FILE or stdin and prints one JSON array of ids a line; --decode the reverse. "
    "MODEL is a folder, a pocket model or ORG/NAME in the Hugging Face cache.",
    run};

static json_t *encode_line(const DmsTokenizer *tokenizer, const json_t *text, GError **error) {
  if (!json_is_string(text)) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER, "not a JSON string");
    return NULL;
  }
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  if (!dms_tokenizer_encode(tokenizer, json_string_value(text), (gssize)json_string_length(text),
                            plain ? DMS_ENCODE_TEXT : DMS_ENCODE_SPECIAL, ids, error))
    return NULL;
  json_t *array = json_array();
  for (guint i = 0; i < ids->len; i++) json_array_append_new(array, json_integer(g_array_index(ids, int32_t, i)));
  return array;
}

static json_t *decode_line(const DmsTokenizer *tokenizer, const json_t *array, GError **error) {
  g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int32_t));
  for (size_t i = 0; json_is_array(array) && i < json_array_size(array); i++) {
    const json_t *item = json_array_get(array, i);
    json_int_t value = json_integer_value(item);
    if (!json_is_integer(item) || value < 0 || value >= dms_tokenizer_size(tokenizer)) break;
    int32_t id = (int32_t)value;
    g_array_append_val(ids, id);
  }
  if (!json_is_array(array) || ids->len != json_array_size(array)) {
    g_set_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER, "not a JSON array of ids from 0 to %d",
                dms_tokenizer_size(tokenizer) - 1);
    return NULL;
  }
  gsize length;
  g_autofree char *text =
      dms_tokenizer_decode(tokenizer, (const int32_t *)ids->data, ids->len, DMS_DECODE_KEEP_SPECIAL, &length);
  return json_stringn(text, length);
}

static gboolean convert(const DmsTokenizer *tokenizer, FILE *input, GError **error) {
  g_autofree char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  for (int number = 1; (length = getline(&line, &capacity, input)) >= 0; number++) {
    if (length == 0 || (length == 1 && line[0] == '\n')) continue;
    json_error_t wrong;
    json_t *value = json_loadb(line, (size_t)length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &wrong), *converted = NULL;
    if (!value)
      g_set_error(error, DMS_ERROR, DMS_ERROR_TOKENIZER, "not JSON: %s", wrong.text);
    else
      converted = (decode ? decode_line : encode_line)(tokenizer, value, error);
    json_decref(value);
    if (!converted) {
      g_prefix_error(error, "line %d: ", number);
      return FALSE;
    }
    json_dumpf(converted, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
    putchar('\n');
    json_decref(converted);
  }
  if (!ferror(input)) return TRUE;
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "read failed: %m");
  return FALSE;
}

static int run(int argc, char **argv) {
  GError *error = NULL;
  if (!options_parse(&command_tokenize, entries, 1, 2, &argc, &argv)) return EXIT_USAGE;
  g_autofree char *dir = dataset_model_dir(argv[1], &error);
  DmsTokenizer *tokenizer = dir ? dms_tokenizer_open(dir, &error) : NULL;
  FILE *input = argc > 2 ? fopen(argv[2], "r") : stdin;
  if (tokenizer && !input) g_set_error(&error, G_FILE_ERROR, G_FILE_ERROR_NOENT, "%s: cannot be read: %m", argv[2]);
  gboolean ok = tokenizer && input && convert(tokenizer, input, &error);
  if (tokenizer && input && !ok) g_prefix_error(&error, "%s: ", argc > 2 ? argv[2] : "stdin");
  if (input && input != stdin) fclose(input);
  dms_tokenizer_free(tokenizer);
  return ok ? EXIT_DONE : command_fail(&command_tokenize, error);
}
