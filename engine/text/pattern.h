/* The pre-tokenizer's regular expression, from the engine of Hugging Face tokenizers (Oniguruma, Ruby syntax) to
 * PCRE2. Internal. */
#ifndef DMS_PATTERN_H
#define DMS_PATTERN_H

#include <glib.h>

/* The PCRE2 pattern (for PCRE2_UTF | PCRE2_UCP) that matches what `pattern` matches under Oniguruma, or NULL with a
 * message in `*why` (free with g_free()) when it uses anything outside the constructs on which both are known to
 * agree:
 *
 *   literals, \r \n \t, escaped punctuation, "."       alternation, (...), (?:...), (?i:...), (?=...), (?!...), (?>...)
 *   \s \S \d \D, \p{..} \P{..} of general categories   * + ? and their lazy and possessive forms, {n} {n,} {n,m}
 *   [...] of these without nesting or intersection
 *
 * One thing is rewritten: \s, because PCRE2's has U+180E and Unicode's White_Space, which Oniguruma follows, has
 * not. Refused are above all: ^ and $ (line anchors in Ruby), \w and \b (other sets), {n}? and {n}+ (not lazy or
 * possessive in Ruby), scripts (PCRE2 looks at script extensions), classes in classes, inline options, look-behind
 * and back references. */
char *dms_pattern_translate(const char *pattern, char **why);

#endif
