/* The kernel for steps of one row (engine/cuda/single_row.cu), run on the CPU by tests/emulation, against double
 * precision: its logits, the pages that it appends to, its decisions. */
#include "tests/emulation/emulation.h"

#include "engine/cuda/single_row.cu"

#include "tests/emulation/reference.h"

namespace {

struct TestShape {
  int steps, processors, hidden, intermediate, heads, kv_heads, head_dim;
  DmsCudaDecision decision;
  bool norms, biases, borrowed, rezero;
  int shift, longest; /* list */
};

enum { LAYERS = 2, VOCAB = 300, SLOTS = 2, SLOT = 1, RING = 24, SINKS = 3, MOST_STEPS = 3, FIRST_POSITION = 300 };
constexpr float RATE = 0.5f, SCALE = 100, OFFSET = 5, EPS = 1e-6f;

struct Fixture {
  const TestShape &s;
  int group, stride, pairs, max_pages;
  Arena weights, pool, exchange;
  size_t qkv, output, gate_up, down, qkv_bias, output_bias, down_bias, input_norm, post_norm, q_norm, k_norm;
  size_t layer_bytes, head, norm; /* the others are of the first layer */
  std::vector<float> x, logits;
  std::vector<float2> rope;
  std::vector<int32_t> table, count, recent, items, slots, positions;
  std::vector<DmsCudaList> lists;
  DmsCudaSingleRow row = {};
  /* Of the step under way, by layer and KV head: the arriving token's key and value, whether it says evict and whether
   * that is a near thing. */
  std::vector<Vector> key, value;
  std::vector<bool> evicts, nearly;

  explicit Fixture(const TestShape &shape)
      : s(shape), group(s.heads / s.kv_heads), stride((s.heads + 2 * s.kv_heads) * s.head_dim),
        pairs(LAYERS * s.kv_heads), max_pages((s.longest + MOST_STEPS) / DMS_CUDA_PAGE + 1), x(s.hidden), logits(VOCAB),
        items(pairs), slots{SLOT}, positions(1), lists(pairs), key(pairs), value(pairs), evicts(pairs), nearly(pairs) {
    emulated_processors = s.processors;
    make_weights();
    make_row();
    make_cache();
    gsize bytes;
    g_assert_cmpint(dms_cuda_single_row_plan(&row, &bytes), ==, cudaSuccess);
    g_assert_cmpuint(bytes, >, 0); /* it takes the shape */
    exchange.place(bytes), exchange.allocate();
    row.exchange = exchange.base();
  }

  /* ---- What lies on the device ---- */

  template <typename T> T *in_layer(size_t at, int layer) {
    return reinterpret_cast<T *>(weights.base() + layer * layer_bytes + at);
  }

  void make_weights() {
    auto matrix = [&](size_t rows, size_t columns) { return weights.place(rows * columns * sizeof(bf16)); };
    auto vector = [&](size_t n) { return weights.place(n * sizeof(float)); };
    size_t attended = s.heads * s.head_dim;
    qkv = matrix(stride, s.hidden), output = matrix(s.hidden, attended);
    gate_up = matrix(2 * s.intermediate, s.hidden), down = matrix(s.hidden, s.intermediate);
    qkv_bias = matrix(stride, 1), output_bias = vector(s.hidden), down_bias = vector(s.hidden);
    input_norm = vector(s.hidden), post_norm = vector(s.hidden), q_norm = vector(s.head_dim),
    k_norm = vector(s.head_dim);
    layer_bytes = weights.used, weights.used *= LAYERS;
    head = matrix(VOCAB, s.hidden), norm = vector(s.hidden);
    weights.allocate();
    auto fill_weights = [&](size_t at, int layer, size_t n, double deviation) {
      fill(in_layer<bf16>(at, layer), n, deviation);
    };
    auto fill_floats = [&](size_t at, int layer, int n, double mean, double deviation) {
      fill(in_layer<float>(at, layer), n, mean, deviation);
    };
    for (int layer = 0; layer < LAYERS; layer++) {
      fill_weights(qkv, layer, (size_t)stride * s.hidden, 1 / std::sqrt(s.hidden));
      fill_weights(output, layer, s.hidden * attended, 1 / std::sqrt(attended));
      fill_weights(gate_up, layer, (size_t)2 * s.intermediate * s.hidden, 1 / std::sqrt(s.hidden));
      fill_weights(down, layer, (size_t)s.hidden * s.intermediate, 1 / std::sqrt(s.intermediate));
      fill_weights(qkv_bias, layer, stride, 0.3);
      fill_floats(output_bias, layer, s.hidden, 0, 0.3), fill_floats(down_bias, layer, s.hidden, 0, 0.3);
      fill_floats(input_norm, layer, s.hidden, 1, 0.2), fill_floats(post_norm, layer, s.hidden, 1, 0.2);
      fill_floats(q_norm, layer, s.head_dim, 1, 0.2), fill_floats(k_norm, layer, s.head_dim, 1, 0.2);
    }
    fill_weights(head, 0, (size_t)VOCAB * s.hidden, 1 / std::sqrt(s.hidden)), fill_floats(norm, 0, s.hidden, 1, 0.2);
  }

  void make_row() {
    auto linear = [&](size_t at, int n, int k, size_t bias) {
      return DmsCudaLinear{in_layer<void>(at, 0), s.biases && bias ? in_layer<void>(bias, 0) : nullptr, n, k};
    };
    for (int position = 0; position < FIRST_POSITION + MOST_STEPS; position++)
      for (int i = 0; i < s.head_dim / 2; i++) {
        double angle = position * std::pow(1e4, -2.0 * i / s.head_dim);
        rope.push_back({(float)std::cos(angle), (float)std::sin(angle)});
      }
    table.resize(SLOTS * pairs * max_pages), count.resize(SLOTS * pairs), recent.resize(SLOTS * RING * pairs);
    pool.place(table.size() * 2 * DMS_CUDA_PAGE * s.head_dim * sizeof(bf16)), pool.allocate();
    row.layers = LAYERS, row.layer_bytes = layer_bytes;
    row.qkv = linear(qkv, stride, s.hidden, qkv_bias);
    row.output = linear(output, s.hidden, s.heads * s.head_dim, output_bias);
    row.gate_up = linear(gate_up, 2 * s.intermediate, s.hidden, 0);
    row.down = linear(down, s.hidden, s.intermediate, down_bias);
    row.head = linear(head, VOCAB, s.hidden, 0);
    row.input_norm = in_layer<float>(input_norm, 0), row.post_norm = in_layer<float>(post_norm, 0);
    row.norm = in_layer<float>(norm, 0);
    row.rope.heads = {DMS_CUDA_BF16, s.heads, s.kv_heads, group, s.head_dim, stride, 1 / std::sqrt((float)s.head_dim)};
    row.rope.rule = {s.decision, s.borrowed, s.shift, s.rezero, 0, SINKS, SCALE, OFFSET, RATE};
    if (s.norms) row.rope.q_norm = in_layer<float>(q_norm, 0), row.rope.k_norm = in_layer<float>(k_norm, 0);
    row.rope.eps = EPS, row.rope.rope = rope.data();
    DmsCudaCache &cache = row.cache;
    cache.type = DMS_CUDA_BF16, cache.layers = LAYERS, cache.kv_heads = s.kv_heads, cache.head_dim = s.head_dim;
    cache.slots = SLOTS, cache.max_pages = max_pages, cache.ring = s.decision == DMS_CUDA_KEEP ? 0 : RING;
    cache.pool = (uint8_t *)pool.base(), cache.page_bytes = 2 * DMS_CUDA_PAGE * s.head_dim * sizeof(bf16);
    cache.table = table.data(), cache.count = count.data(), cache.recent = recent.data();
    row.rows.rows = 1, row.rows.slots = slots.data(), row.rows.positions = positions.data();
    row.rows.items = items.data(), row.rows.lists = lists.data();
    row.x = x.data(), row.logits = logits.data();
  }

  /* Lists of all lengths, none too, in pages from all over the pool. Behind its items a page holds anything. */
  void make_cache() {
    for (size_t i = 0; i < pool.used / sizeof(bf16); i++)
      ((bf16 *)pool.base())[i] = __float2bfloat16(emulated_random() % 50 ? (float)normal() : NAN);
    for (size_t i = 0; i < table.size(); i++) table[i] = (int)i;
    for (size_t i = table.size() - 1; i > 0; i--) std::swap(table[i], table[emulated_random() % (i + 1)]);
    for (int pair = 0; pair < pairs; pair++) {
      int n = emulated_random() % 5 ? 1 + emulated_random() % s.longest : emulated_random() % 3;
      count[SLOT * pairs + pair] = n;
      for (int item = 0; item < n; item++)
        for (int channel = 0; channel < 2 * s.head_dim; channel++)
          element(pair, item, channel / s.head_dim, channel % s.head_dim) = __float2bfloat16((float)normal());
    }
  }
  bf16 &element(int pair, int item, int is_value, int channel) {
    int page = table[(SLOT * pairs + pair) * max_pages + item / DMS_CUDA_PAGE];
    return page_base<bf16>(
        row.cache,
        page)[is_value * DMS_CUDA_PAGE * s.head_dim + page_offset<bf16>(item % DMS_CUDA_PAGE, channel, s.head_dim)];
  }

  /* What dms_cuda_plan_step() would do: the token is appended, or takes over an item. */
  void plan(int position) {
    positions[0] = position;
    for (float &value : x) value = (float)normal();
    for (int pair = 0; pair < pairs; pair++) {
      int &n = count[SLOT * pairs + pair], item = n && emulated_random() % 3 == 0 ? emulated_random() % n : n++;
      lists[pair] = {SLOT, n, item, 0};
      items[pair] =
          table[(SLOT * pairs + pair) * max_pages + item / DMS_CUDA_PAGE] * DMS_CUDA_PAGE + item % DMS_CUDA_PAGE;
      for (int i = 0; i < RING; i++) recent[(SLOT * RING + i) * pairs + pair] &= ~1;
    }
  }

  /* ---- What is to come of it ---- */

  Vector multiply_by(const DmsCudaLinear &linear, int layer, const Vector &from, bool wide_bias) {
    auto moved = [&](const void *at) { return (const char *)at + layer * layer_bytes; };
    Vector to = ::multiply_by(moved(linear.weight), linear.n, from);
    for (int i = 0; linear.bias && i < linear.n; i++)
      to[i] += wide_bias ? ((const float *)moved(linear.bias))[i] : to_float(((const bf16 *)moved(linear.bias))[i]);
    return to;
  }
  Vector normalised(Vector x, const float *weight) {
    normalise(x.data(), (int)x.size(), weight, EPS);
    return x;
  }
  double turn(double *x, const float *weight, bool lends) {
    return turn_head(x, s.head_dim, s.norms ? weight : nullptr, EPS, &rope[positions[0] * s.head_dim / 2], lends,
                     s.rezero);
  }
  void decide(int pair, double logit) {
    double margin = logit * SCALE - OFFSET;
    evicts[pair] = s.decision == DMS_CUDA_SINKS    ? positions[0] >= SINKS
                   : s.decision == DMS_CUDA_RANDOM ? (uint32_t)dms_philox(pair, 0, positions[0]) < RATE * 4294967296.0
                                                   : s.decision == DMS_CUDA_BORROWED && margin > 0;
    nearly[pair] = s.decision == DMS_CUDA_BORROWED && std::fabs(margin) < 0.5;
  }
  /* One query head over a list. */
  void attend(int pair, const double *query, double *to) {
    auto at = [&](int item, int is_value, int channel) -> double {
      if (item == lists[pair].arriving) return (is_value ? value : key)[pair][channel];
      return to_float(element(pair, item, is_value, channel));
    };
    Vector found = attend_to(lists[pair].length, query, s.head_dim, 1 / std::sqrt(s.head_dim), at);
    std::copy(found.begin(), found.end(), to);
  }
  Vector forward() {
    Vector stream(x.begin(), x.end()), attended(s.heads * s.head_dim), active(s.intermediate);
    auto add = [&](const Vector &more) {
      for (int i = 0; i < s.hidden; i++) stream[i] += more[i];
    };
    for (int layer = 0; layer < LAYERS; layer++) {
      Vector all = multiply_by(row.qkv, layer, normalised(stream, in_layer<float>(input_norm, layer)), false);
      auto head_of = [&](int i) { return &all[i * s.head_dim]; };
      for (int h = 0; h < s.kv_heads; h++) {
        int pair = layer * s.kv_heads + h;
        double *k = head_of(s.heads + h), *v = head_of(s.heads + s.kv_heads + h);
        turn(k, in_layer<float>(k_norm, layer), false);
        key[pair].assign(k, k + s.head_dim), value[pair].assign(v, v + s.head_dim);
        for (int g = 0; g < group; g++) {
          double *q = head_of(h * group + g);
          double last = turn(q, in_layer<float>(q_norm, layer), g == 0 && s.borrowed);
          if (g == 0) decide(pair, last);
          attend(pair, q, &attended[(h * group + g) * s.head_dim]);
        }
      }
      add(multiply_by(row.output, layer, attended, true));
      Vector both = multiply_by(row.gate_up, layer, normalised(stream, in_layer<float>(post_norm, layer)), false);
      for (int i = 0; i < s.intermediate; i++) active[i] = swiglu_of(both[i], both[i + s.intermediate]);
      add(multiply_by(row.down, layer, active, true));
    }
    return multiply_by(row.head, 0, normalised(stream, in_layer<float>(norm, 0)), false);
  }

  /* ---- Whether it came ---- */

  void check_logits(const Vector &want) {
    Distance distance;
    for (int i = 0; i < VOCAB; i++) distance.add(logits[i], want[i]);
    g_test_message("logits off by %.1e", distance.relative());
    g_assert_cmpfloat(distance.relative(), <, 1e-2); /* between products values are bf16 */
  }
  /* The arriving tokens lie in their places, what is behind them is clear where it has to be, all else is as it was. */
  void check_pages(std::vector<char> before) {
    auto was = [&](const bf16 &place) -> bf16 & {
      return *(bf16 *)(before.data() + ((char *)&place - pool.bytes.data()));
    };
    for (int pair = 0; pair < pairs; pair++) {
      int item = lists[pair].arriving;
      for (int is_value = 0; is_value < 2; is_value++) {
        Distance distance;
        for (int i = 0; i < s.head_dim; i++) {
          bf16 &place = element(pair, item, is_value, i);
          distance.add(to_float(place), (is_value ? value : key)[pair][i]), was(place) = place;
        }
        g_assert_cmpfloat(distance.relative(), <, 1e-2);
      }
      for (int behind = item + 1; item % 16 == 0 && item == lists[pair].length - 1 && behind < item + 16; behind++)
        for (int i = 0; i < s.head_dim; i++) {
          bf16 &place = element(pair, behind, 1, i);
          g_assert_cmpfloat(to_float(place), ==, 0);
          was(place) = place;
        }
    }
    g_assert_true(!std::memcmp(before.data(), pool.bytes.data(), before.size()));
  }
  void check_flags(const std::vector<int32_t> &before) {
    for (int pair = 0; pair < pairs; pair++)
      for (int i = 0; i < RING; i++) {
        size_t at = (SLOT * RING + i) * pairs + pair;
        bool here = s.decision != DMS_CUDA_KEEP && i == (positions[0] - s.shift) % RING;
        if (!here || !nearly[pair]) g_assert_cmpint(recent[at], ==, before[at] | (here && evicts[pair]));
      }
  }
};

void test_shape(gconstpointer data) {
  const TestShape &shape = *(const TestShape *)data;
  emulated_seed(20);
  Fixture fixture(shape);
  for (int step = 0; step < shape.steps; step++) {
    fixture.plan(FIRST_POSITION + step);
    Vector want = fixture.forward();
    std::vector<char> pages = fixture.pool.bytes;
    std::vector<int32_t> recent = fixture.recent;
    std::vector<float> logits = fixture.logits;
    if (step == 1) { /* a row that does not run */
      fixture.slots[0] = -1;
      g_assert_cmpint(dms_cuda_single_row(nullptr, &fixture.row), ==, cudaSuccess);
      g_assert_true(logits == fixture.logits && pages == fixture.pool.bytes && recent == fixture.recent);
      fixture.slots[0] = SLOT;
    }
    g_assert_cmpint(dms_cuda_single_row(nullptr, &fixture.row), ==, cudaSuccess);
    fixture.check_logits(want);
    fixture.check_pages(pages);
    fixture.check_flags(recent);
  }
}

} // namespace

int main(int argc, char **argv) {
  static const NamedShape<TestShape> tests[] = {
      {"head_dim-128/drawn", {3, 6, 256, 512, 8, 2, 128, DMS_CUDA_RANDOM, true, false, false, false, 1, 150}},
      {"head_dim-64/borrowed", {3, 6, 256, 512, 8, 2, 64, DMS_CUDA_BORROWED, true, false, true, true, 1, 150}},
      {"head_dim-128/borrowed-unshifted",
       {3, 5, 256, 256, 4, 1, 128, DMS_CUDA_BORROWED, false, true, true, false, 0, 400}},
      {"head_dim-64/sinks-and-biases", {3, 7, 256, 768, 12, 2, 64, DMS_CUDA_SINKS, false, true, false, false, 0, 90}},
      {"head_dim-128/borrowed-and-drawn",
       {3, 6, 256, 512, 8, 2, 128, DMS_CUDA_RANDOM, true, false, true, true, 1, 150}},
      {"head_dim-128/long-lists", {3, 4, 256, 512, 4, 2, 128, DMS_CUDA_KEEP, true, false, false, false, 1, 1500}},
      {"head_dim-64/long-lists", {3, 4, 256, 512, 8, 2, 64, DMS_CUDA_KEEP, true, false, false, false, 1, 2000}},
      {"wide/middle", {3, 6, 256, 512, 18, 3, 128, DMS_CUDA_RANDOM, true, false, false, false, 1, 100}},
      {"wide/long", {3, 12, 256, 512, 40, 5, 128, DMS_CUDA_RANDOM, true, true, false, false, 1, 60}},
      {"wide/7-chunks", {1, 28, 1792, 512, 4, 2, 64, DMS_CUDA_RANDOM, true, false, false, false, 1, 60}},
      {"deep/long", {1, 4, 256, 12288, 4, 2, 64, DMS_CUDA_RANDOM, true, false, false, false, 1, 60}},
      {"deep/longer", {1, 4, 256, 18944, 4, 2, 64, DMS_CUDA_RANDOM, true, true, false, false, 1, 60}},
      {"deep/longest", {1, 4, 256, 27648, 4, 2, 64, DMS_CUDA_RANDOM, true, false, false, false, 1, 60}},
  };
  g_test_init(&argc, &argv, NULL);
  add_tests("single-row", tests, test_shape);
  return g_test_run();
}
