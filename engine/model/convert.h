/* Conversions between the float formats that weights are stored in. Internal to engine/. Loops over these vectorise. */
#ifndef DMS_CONVERT_H
#define DMS_CONVERT_H

#include <stdint.h>
#include <string.h>

static inline float dms_f32_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t dms_bits_from_f32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float dms_f32_from_bf16(uint16_t value) {
  return dms_f32_from_bits((uint32_t)value << 16);
}

/* To nearest, ties to even; a NaN stays a NaN. */
static inline uint16_t dms_bf16_from_f32(float value) {
  uint32_t bits = dms_bits_from_f32(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  uint32_t nan = bits >> 16 | 0x40;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

/* Exact, subnormals, infinities and NaN included: the exponent is re-biased by a multiplication, which normalises
 * subnormals too. */
static inline float dms_f32_from_f16(uint16_t value) {
  uint32_t sign = (uint32_t)(value & 0x8000) << 16, rest = (uint32_t)(value & 0x7fff) << 13;
  uint32_t finite = dms_bits_from_f32(dms_f32_from_bits(rest) * 0x1p112f);
  uint32_t special = rest | 0x7f800000;
  return dms_f32_from_bits(sign | (rest >= 0x0f800000 ? special : finite));
}

#endif
