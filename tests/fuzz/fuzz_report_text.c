/* Any bytes on their way into a report: in every format they end as valid UTF-8 without invisible characters, and
 * none of them opens markup. */
#include <stdint.h>
#include <string.h>

#include "reports/text.h"

static void check(const GString *out, TextFormat format) {
  g_assert_true(g_utf8_validate(out->str, (gssize)out->len, NULL));
  for (const char *p = out->str; *p; p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);
    GUnicodeType type = g_unichar_type(c);
    g_assert_true(c == '\n' || c == '\t' || (type != G_UNICODE_CONTROL && type != G_UNICODE_FORMAT));
    if (format == TEXT_HTML) g_assert_null(strchr("<>\"'", (int)(c < 0x80 ? c : 'a')));
    if (format == TEXT_TERMINAL) g_assert_true(c != '\n' && c != '\t');
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TextFormat formats[] = {TEXT_PLAIN, TEXT_HTML, TEXT_MARKDOWN, TEXT_TEX, TEXT_CSV, TEXT_TERMINAL};
  for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
    g_autoptr(GString) out = g_string_new(NULL);
    report_text_append(out, formats[i], (const char *)data, (gssize)size);
    check(out, formats[i]);
    g_string_truncate(out, 0);
    report_text_append(out, formats[i], (const char *)data,
                       (gssize)report_text_cut((const char *)data, size, size / 2));
    check(out, formats[i]);
  }
  json_t *string = report_text_json((const char *)data, (gssize)size);
  g_assert_nonnull(string);
  g_autoptr(GString) block = g_string_new(NULL);
  report_text_append_json(block, json_pack("[o]", string), 6, TRUE);
  g_assert_null(strpbrk(block->str, "<>&"));
  return 0;
}
