/* base64 -> zlib -> pickle -> JSON, each layer checked before the next one sees it. */
#include "datasets/packed_tests.h"

#include "datasets/json_span.h"
#include "datasets/rows.h"
#include "datasets/unpickle.h"

#include <string.h>
#include <zlib.h>

void dataset_test_free(DatasetTest *test) {
  g_free(test->input);
  g_free(test->output);
  g_free(test);
}

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autoptr(GError) made = g_error_new_valist(DATASET_ERROR, DATASET_ERROR_FORMAT, format, arguments);
  va_end(arguments);
  g_propagate_error(error, g_steal_pointer(&made));
  return FALSE;
}

/* Whether the object, its input and output blanked out, is {"input", "output", "testtype"} and nothing else. */
static gboolean check_test(const JsonSpan *object, const JsonSpan *input, const JsonSpan *output, guint number,
                           GError **error) {
  gboolean in_order = input->begin < output->begin;
  const JsonSpan members[] = {in_order ? *input : *output, in_order ? *output : *input};
  g_autoptr(GString) rest = json_span_without(object, members, G_N_ELEMENTS(members));
  json_error_t at;
  g_autoptr(json_t) parsed = json_loadb(rest->str, rest->len, JSON_REJECT_DUPLICATES, &at);
  const char *type = json_string_value(json_object_get(parsed, "testtype"));
  if (!parsed) return fail(error, "test %u: %s", number, at.text);
  if (!type || json_object_size(parsed) != 3)
    return fail(error, "test %u: its members are not input, output and testtype", number);
  if (strcmp(type, "functional") == 0 || strcmp(type, "stdin") == 0) return TRUE;
  return fail(error, "test %u: testtype is \"%.40s\"; expected \"stdin\" or \"functional\"", number, type);
}

static gboolean add_test(const JsonSpan *object, gboolean functional, GPtrArray *tests, GError **error) {
  gsize length = (gsize)(object->end - object->begin);
  JsonSpan input, output;
  if (!json_member_span(object->begin, length, "input", &input) ||
      !json_member_span(object->begin, length, "output", &output))
    return fail(error, "test %u: no object with input and output", tests->len);
  if (!check_test(object, &input, &output, tests->len, error)) return FALSE;
  DatasetTest *test = g_new0(DatasetTest, 1);
  test->functional = functional;
  g_autoptr(GError) failure = NULL;
  if ((test->input = json_span_string(&input, &test->input_length, &failure)) &&
      (test->output = json_span_string(&output, &test->output_length, &failure))) {
    g_ptr_array_add(tests, test);
    return TRUE;
  }
  dataset_test_free(test);
  return fail(error, "test %u: %s", tests->len, failure->message);
}

/* The next character that is not blank, stepped over; 0 at the end. */
static char next_mark(const char **at, const char *end) {
  while (*at < end && strchr(" \t\r\n", **at) && **at) (*at)++;
  return *at < end ? *(*at)++ : '\0';
}

gboolean tests_from_json(const char *text, gsize length, gboolean functional, GPtrArray *tests, GError **error) {
  const char *at = text, *end = text + length;
  if (next_mark(&at, end) != '[') return fail(error, "not a JSON list of tests");
  const char *first = at;
  if (next_mark(&first, end) == ']') {
    at = first;
  } else {
    for (char mark = ','; mark != ']';) {
      JsonSpan element;
      if (!json_span(at, end, &element)) return fail(error, "the list of tests is cut off after test %u", tests->len);
      if (!add_test(&element, functional, tests, error)) return FALSE;
      at = element.end;
      mark = next_mark(&at, end);
      if (mark != ',' && mark != ']')
        return fail(error, "expected , or ] behind test %u, byte %zu", tests->len - 1, (gsize)(at - text));
    }
  }
  if (next_mark(&at, end)) return fail(error, "text behind the list of tests, byte %zu", (gsize)(at - text));
  return TRUE;
}

guchar *inflate_capped(const guchar *packed, gsize length, gsize max, gsize *out_length, GError **error) {
  z_stream stream = {.next_in = (Bytef *)packed};
  gsize size = MIN(max, MAX((gsize)4096, length < max / 4 ? 4 * length : max)), done = 0, taken = 0;
  guchar *out = g_try_malloc(size);
  int status = out ? inflateInit(&stream) : Z_MEM_ERROR;
  while (status == Z_OK) {
    if (stream.avail_in == 0) { /* avail_in and avail_out are 32 bits wide */
      stream.avail_in = (uInt)MIN(length - taken, (gsize)1 << 30);
      taken += stream.avail_in;
    }
    if (done == size) {
      gsize larger = size > max / 2 ? max : 2 * size;
      guchar *grown = size < max ? g_try_realloc(out, larger) : NULL;
      if (!grown) {
        status = size < max ? Z_MEM_ERROR : Z_BUF_ERROR;
        break;
      }
      out = grown;
      size = larger;
    }
    stream.next_out = out + done;
    stream.avail_out = (uInt)MIN(size - done, (gsize)1 << 30);
    status = inflate(&stream, Z_NO_FLUSH);
    done = (gsize)(stream.next_out - out);
    /* All input is in and there was room: the stream is cut off. Without room, go on. */
    if (status == Z_BUF_ERROR && done == size) status = Z_OK;
  }
  gsize unread = stream.avail_in + (length - taken);
  inflateEnd(&stream);
  if (status == Z_STREAM_END && unread == 0) {
    *out_length = done;
    return out;
  }
  g_free(out);
  if (status == Z_STREAM_END)
    fail(error, "zlib: %zu bytes behind the end of the stream", unread);
  else if (status == Z_MEM_ERROR)
    fail(error, "zlib: no memory for the unpacked tests");
  else if (status == Z_BUF_ERROR && done >= max)
    fail(error, "zlib: unpacks to more than the %zu bytes allowed", max);
  else if (status == Z_BUF_ERROR)
    fail(error, "zlib: the stream ends early");
  else
    fail(error, "zlib: %s", stream.msg ? stream.msg : "the stream is damaged");
  return NULL;
}

/* Whether `text` is base64 and nothing else: the decoder would skip what it does not know. */
static gboolean is_base64(const char *text, gsize length) {
  gsize body = length;
  while (body > 0 && length - body < 2 && text[body - 1] == '=') body--;
  for (gsize i = 0; i < body; i++)
    if (!g_ascii_isalnum(text[i]) && text[i] != '+' && text[i] != '/') return FALSE;
  return length > 0 && length % 4 == 0;
}

gboolean tests_from_packed(char *text, gsize length, gboolean functional, GPtrArray *tests, GError **error) {
  const char *first = text;
  char mark = next_mark(&first, text + length);
  if (mark == '[' && !g_utf8_validate_len(text, length, NULL)) return fail(error, "not valid UTF-8");
  if (mark == '[') return tests_from_json(text, length, functional, tests, error);
  if (!is_base64(text, length)) return fail(error, "neither a JSON list nor base64");
  gint state = 0;
  guint save = 0;
  gsize packed_length = g_base64_decode_step(text, length, (guchar *)text, &state, &save);
  gsize pickle_length, json_length;
  g_autofree guchar *pickle =
      inflate_capped((const guchar *)text, packed_length, PACKED_TESTS_MAX, &pickle_length, error);
  const char *json;
  return pickle && unpickle_string(pickle, pickle_length, &json, &json_length, error) &&
         tests_from_json(json, json_length, functional, tests, error);
}
