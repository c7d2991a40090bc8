/* AIME and MATH-500: JSONL with a problem and a short answer.
 *
 * The field names of the copies in use are accepted: problem | Problem | question | prompt, answer | Answer (a string
 * or an integer), id | ID | unique_id | question_id (a string or an integer). A file that names its rows nowhere gets
 * ids by row, "1" the first. QwQ's copies end each prompt with an instruction, which is cut off: prompts are worded by
 * prompt.c. */
#include "datasets/rows.h"

#include "datasets/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINE ((gsize)16 << 20)
#define AIME_MAX_ANSWER 999
#define INSTRUCTION "\nPlease reason step by step, and put your final answer within \\boxed{}."

static json_t *first_member(json_t *row, const char *const *names) {
  for (; *names; names++) {
    json_t *value = json_object_get(row, *names);
    if (value) return value;
  }
  return NULL;
}

/* A string or an integer as text, kept; NULL and an error for anything else. */
static const char *keep_text(Dataset *dataset, json_t *row, const char *const *names, RowPlace place, GError **error) {
  json_t *value = first_member(row, names);
  if (json_is_string(value) && *json_string_value(value)) return dataset_keep(dataset, json_string_value(value));
  if (json_is_integer(value)) {
    g_autofree char *digits = g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return dataset_keep(dataset, digits);
  }
  g_autofree char *found = value ? json_dumps(value, JSON_ENCODE_ANY) : g_strdup("missing");
  row_error(error, place, "field \"%s\" is %.80s; expected a string that is not empty", names[0], found);
  return NULL;
}

static const char *cut_instruction(Dataset *dataset, const char *prompt) {
  if (!g_str_has_suffix(prompt, INSTRUCTION)) return prompt;
  g_autofree char *problem = g_strndup(prompt, strlen(prompt) - strlen(INSTRUCTION));
  return dataset_keep(dataset, problem);
}

/* AIME: 0 to 999, leading zeros dropped, since copies of the data differ in them. */
static const char *keep_integer(Dataset *dataset, const char *answer, RowPlace place, GError **error) {
  gsize length = strlen(answer);
  if (length > 3 || strspn(answer, "0123456789") != length) {
    row_error(error, place, "field \"answer\" is \"%.80s\"; expected an integer from 0 to %d", answer, AIME_MAX_ANSWER);
    return NULL;
  }
  while (answer[0] == '0' && answer[1]) answer++;
  return answer;
}

static gboolean read_row(Dataset *dataset, json_t *object, RowPlace place, GError **error) {
  static const char *const id[] = {"id", "ID", "unique_id", "question_id", NULL};
  static const char *const problem[] = {"problem", "Problem", "question", "prompt", NULL};
  static const char *const answer[] = {"answer", "Answer", NULL};
  DatasetRow row = {.line = place.line};
  g_autofree char *number = g_strdup_printf("%u", dataset->rows->len + 1);
  row.problem.id =
      first_member(object, id) ? keep_text(dataset, object, id, place, error) : dataset_keep(dataset, number);
  if (!row.problem.id) return FALSE;
  row.problem.question = keep_text(dataset, object, problem, place, error);
  if (!row.problem.question) return FALSE;
  row.problem.question = cut_instruction(dataset, row.problem.question);
  row.problem.answer = keep_text(dataset, object, answer, place, error);
  if (!row.problem.answer) return FALSE;
  if (dataset->kind == DATASET_INTEGER) {
    row.problem.answer = keep_integer(dataset, row.problem.answer, place, error);
    if (!row.problem.answer) return FALSE;
  }
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  fingerprint_add(sum, "math");
  fingerprint_add(sum, row.problem.question);
  fingerprint_add(sum, row.problem.answer);
  row.problem.fingerprint = dataset_keep(dataset, g_checksum_get_string(sum));
  return dataset_add(dataset, &row, place, error);
}

gboolean dataset_read_math(Dataset *dataset, const char *path, GError **error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    g_set_error(error, DATASET_ERROR, DATASET_ERROR_IO, "%s: %s", path, g_strerror(errno));
    return FALSE;
  }
  g_autoptr(JsonlReader) reader = jsonl_reader_new(fd, path, MAX_LINE);
  g_autoptr(GError) failure = NULL;
  JsonlLine line;
  while (!failure && jsonl_next(reader, &line, &failure)) {
    RowPlace place = {path, line.number};
    g_autoptr(json_t) object = row_parse(line.text, line.length, place, &failure);
    if (object) read_row(dataset, object, place, &failure);
  }
  close(fd);
  if (!failure) return TRUE;
  g_propagate_error(error, g_steal_pointer(&failure));
  return FALSE;
}
