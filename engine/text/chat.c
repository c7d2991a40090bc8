/* Chat formats: what stands around a user's turn. Control tokens go in by their ids; what a user or a data set wrote
 * is encoded as text. */
#include "engine/text/tokenizer.h"

#include <string.h>

#define R1_USER "<｜User｜>"
#define R1_ASSISTANT "<｜Assistant｜>"
#define QWEN25_SYSTEM "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define LLAMA3_DATES "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

/* `mark` are the tokens by which a format is told; a tokenizer that has both is of that format, the first in this
 * order. The variants of a format can only be named. */
static const struct {
  DmsChatFormat format;
  const char *name, *mark[2];
} formats[] = {
    {DMS_CHAT_R1_DISTILL, "r1-distill", {R1_USER, R1_ASSISTANT}}, /* first: its Llama kind has Llama 3's tokens too */
    {DMS_CHAT_CHATML, "chatml", {"<|im_start|>", "<|im_end|>"}},
    {DMS_CHAT_LLAMA3, "llama3", {"<|start_header_id|>", "<|eot_id|>"}},
    {DMS_CHAT_QWEN25, "qwen2.5", {NULL}},
    {DMS_CHAT_QWEN3_DIRECT, "qwen3-direct", {NULL}},
};

gboolean dms_chat_format_parse(const char *name, DmsChatFormat *format) {
  for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
    if (!g_str_equal(formats[i].name, name)) continue;
    *format = formats[i].format;
    return TRUE;
  }
  return FALSE;
}

const char *dms_chat_format_name(DmsChatFormat format) {
  for (gsize i = 0; i < G_N_ELEMENTS(formats); i++)
    if (formats[i].format == format) return formats[i].name;
  return NULL;
}

gboolean dms_chat_format_detect(const DmsTokenizer *tokenizer, DmsChatFormat *format, GError **error) {
  for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
    if (!formats[i].mark[0] || dms_tokenizer_token_id(tokenizer, formats[i].mark[0]) < 0 ||
        dms_tokenizer_token_id(tokenizer, formats[i].mark[1]) < 0)
      continue;
    *format = formats[i].format;
    return TRUE;
  }
  g_set_error(
      error, DMS_ERROR, DMS_ERROR_TOKENIZER,
      "the tokenizer has the control tokens of no known chat format: neither %s (r1-distill) nor %s (chatml) nor "
      "%s (llama3)",
      formats[0].mark[0], formats[1].mark[0], formats[2].mark[0]);
  return FALSE;
}

/* A prompt being put together. Text is gathered up to the next control token and encoded as one run. */
typedef struct {
  const DmsTokenizer *tokenizer;
  GArray *ids;
  GString *run, *rendered;
  GError *error;
} Prompt;

static void add_text(Prompt *prompt, const char *text) {
  g_string_append(prompt->run, text);
}

static void end_run(Prompt *prompt) {
  if (prompt->error) return;
  g_string_append_len(prompt->rendered, prompt->run->str, (gssize)prompt->run->len);
  dms_tokenizer_encode(prompt->tokenizer, prompt->run->str, (gssize)prompt->run->len, DMS_ENCODE_TEXT, prompt->ids,
                       &prompt->error);
  g_string_truncate(prompt->run, 0);
}

static void add_control(Prompt *prompt, const char *token) {
  end_run(prompt);
  if (prompt->error) return;
  int32_t id = dms_tokenizer_token_id(prompt->tokenizer, token);
  if (id < 0)
    g_set_error(&prompt->error, DMS_ERROR, DMS_ERROR_TOKENIZER,
                "the tokenizer has no token \"%s\", which the chat format needs", token);
  g_array_append_val(prompt->ids, id);
  g_string_append(prompt->rendered, token);
}

static void add_chatml_turn(Prompt *prompt, const char *role, const char *content) {
  add_control(prompt, "<|im_start|>");
  add_text(prompt, role);
  add_text(prompt, "\n");
  add_text(prompt, content);
  add_control(prompt, "<|im_end|>");
  add_text(prompt, "\n");
}

static void add_chatml(Prompt *prompt, const char *system, const char *user) {
  if (system) add_chatml_turn(prompt, "system", system);
  add_chatml_turn(prompt, "user", user);
  add_control(prompt, "<|im_start|>");
  add_text(prompt, "assistant\n");
}

/* Qwen3 is told not to think by a thought that is empty. */
static void add_no_thinking(Prompt *prompt) {
  add_control(prompt, "<think>");
  add_text(prompt, "\n\n");
  add_control(prompt, "</think>");
  add_text(prompt, "\n\n");
}

static void add_r1(Prompt *prompt, const char *system, const char *user) {
  add_control(prompt, "<｜begin▁of▁sentence｜>");
  if (system) add_text(prompt, system);
  add_control(prompt, R1_USER);
  add_text(prompt, user);
  add_control(prompt, R1_ASSISTANT);
  add_control(prompt, "<think>");
  add_text(prompt, "\n");
}

static void add_llama3_header(Prompt *prompt, const char *role) {
  add_control(prompt, "<|start_header_id|>");
  add_text(prompt, role);
  add_control(prompt, "<|end_header_id|>");
  add_text(prompt, "\n\n");
}

/* Llama's template strips what a turn says. */
static void add_stripped(Prompt *prompt, const char *text) {
  static const char blanks[] = " \t\n\v\f\r";
  const char *start = text + strspn(text, blanks);
  gsize length = strlen(start);
  while (length > 0 && strchr(blanks, start[length - 1])) length--;
  g_string_append_len(prompt->run, start, (gssize)length);
}

static void add_llama3(Prompt *prompt, const char *system, const char *user) {
  add_control(prompt, "<|begin_of_text|>");
  add_llama3_header(prompt, "system");
  add_text(prompt, LLAMA3_DATES);
  if (system) add_stripped(prompt, system);
  add_control(prompt, "<|eot_id|>");
  add_llama3_header(prompt, "user");
  add_stripped(prompt, user);
  add_control(prompt, "<|eot_id|>");
  add_llama3_header(prompt, "assistant");
}

gboolean dms_chat_encode(const DmsTokenizer *tokenizer, DmsChatFormat format, const char *system, const char *user,
                         GArray *ids, char **rendered, GError **error) {
  g_autoptr(GString) run = g_string_new(NULL), text = g_string_new(NULL);
  Prompt prompt = {.tokenizer = tokenizer, .ids = ids, .run = run, .rendered = text};
  guint before = ids->len;
  switch (format) {
  case DMS_CHAT_CHATML:
    add_chatml(&prompt, system, user);
    break;
  case DMS_CHAT_QWEN25:
    add_chatml(&prompt, system ? system : QWEN25_SYSTEM, user);
    break;
  case DMS_CHAT_QWEN3_DIRECT:
    add_chatml(&prompt, system, user);
    add_no_thinking(&prompt);
    break;
  case DMS_CHAT_R1_DISTILL:
    add_r1(&prompt, system, user);
    break;
  case DMS_CHAT_LLAMA3:
    add_llama3(&prompt, system, user);
    break;
  }
  end_run(&prompt);
  if (prompt.error) {
    g_array_set_size(ids, before);
    g_propagate_error(error, prompt.error);
    return FALSE;
  }
  if (rendered) *rendered = g_strdup(text->str);
  return TRUE;
}
