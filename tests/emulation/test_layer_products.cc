/* The kernel between the attention of two layers (engine/cuda/layer_products.cu), run on the CPU by tests/emulation,
 * against double precision: all launches of a step, each from what it found. */
#include "tests/emulation/emulation.h"

#include "engine/cuda/layer_products.cu"

#include "tests/emulation/reference.h"

namespace {

struct TestShape {
  int layers, rows, processors, shared_kb, hidden, attended, intermediate, qkv;
  bool biases;
  /* How it is to be cut: passes over gate and up, products whose boxes go two by two. */
  int passes;
  std::vector<int> by_twos;
};

enum { GUARD_ROWS = 1, SQUARES = DMS_CUDA_PRODUCT_SQUARES };
constexpr float EPS = 1e-6f;
/* How far an element may be off, in units of its magnitude and all elements' rms: bf16 operands may round the other
 * way. */
constexpr double NEAR = 1e-2;

struct Fixture {
  const TestShape &s;
  Arena memory;
  size_t output, gate_up, down, qkv, output_bias, down_bias, qkv_bias, input_norm, post_norm, layer_bytes;
  size_t norm, attended, x, normed, squares, activated, qkv_out, work, arrivals;

  explicit Fixture(const TestShape &shape) : s(shape) {
    emulated_processors = s.processors, emulated_shared_bytes = s.shared_kb << 10;
    auto matrix = [&](size_t rows, size_t columns) { return memory.place(rows * columns * sizeof(bf16)); };
    auto floats = [&](size_t n) { return memory.place(n * sizeof(float)); };
    output = matrix(s.hidden, s.attended), gate_up = matrix(2 * s.intermediate, s.hidden);
    down = matrix(s.hidden, s.intermediate), qkv = matrix(s.qkv, s.hidden), qkv_bias = matrix(s.qkv, 1);
    output_bias = floats(s.hidden), down_bias = floats(s.hidden);
    input_norm = floats(s.hidden), post_norm = floats(s.hidden);
    layer_bytes = memory.used, memory.used *= s.layers;
    norm = floats(s.hidden), work = memory.used;
    int rows = s.rows + GUARD_ROWS;
    attended = matrix(rows, s.attended), x = floats(rows * s.hidden), normed = matrix(rows, s.hidden);
    squares = floats(rows * SQUARES), activated = matrix(rows, s.intermediate), qkv_out = matrix(rows, s.qkv);
    arrivals = floats((s.layers + 1) * DMS_CUDA_PRODUCT_ARRIVALS);
    memory.allocate();
    for (int layer = 0; layer < s.layers; layer++) make_layer(layer);
    fill(at<float>(norm), s.hidden, 1, 0.2);
    begin_step();
  }
  template <typename T> T *at(size_t place, int layer = 0) {
    return reinterpret_cast<T *>(memory.base() + layer * layer_bytes + place);
  }
  void make_layer(int layer) {
    fill(at<bf16>(output, layer), (size_t)s.hidden * s.attended, 1 / std::sqrt(s.attended));
    fill(at<bf16>(gate_up, layer), (size_t)2 * s.intermediate * s.hidden, 1 / std::sqrt(s.hidden));
    fill(at<bf16>(down, layer), (size_t)s.hidden * s.intermediate, 1 / std::sqrt(s.intermediate));
    fill(at<bf16>(qkv, layer), (size_t)s.qkv * s.hidden, 1 / std::sqrt(s.hidden));
    fill(at<bf16>(qkv_bias, layer), s.qkv, 0.5);
    fill(at<float>(output_bias, layer), s.hidden, 0, 0.5), fill(at<float>(down_bias, layer), s.hidden, 0, 0.5);
    fill(at<float>(input_norm, layer), s.hidden, 1, 0.2), fill(at<float>(post_norm, layer), s.hidden, 1, 0.2);
  }
  /* What the embedding leaves. No attention here: what it would leave is drawn. */
  void begin_step() {
    spoil(work, memory.used - work);
    std::fill_n(at<int32_t>(arrivals), (s.layers + 1) * DMS_CUDA_PRODUCT_ARRIVALS, 0);
    fill(at<float>(x), s.rows * s.hidden, 0, 1);
    std::fill_n(at<float>(squares), s.rows * SQUARES, 0.0f);
    for (int row = 0; row < s.rows; row++)
      for (int i = 0; i < s.hidden; i++) {
        float value = at<float>(x)[row * s.hidden + i];
        at<bf16>(normed)[row * s.hidden + i] = __float2bfloat16(value * at<float>(input_norm)[i]);
        at<float>(squares)[row * SQUARES] += value * value;
      }
  }

  /* As batch_rows.c says it; layer -1: before the first one's attention. */
  DmsCudaLayerProducts products_of(int layer) {
    bool last = layer + 1 == s.layers;
    auto linear = [&](size_t weight, size_t bias, int of, int n, int k) {
      return DmsCudaLinear{at<void>(weight, of), s.biases && bias ? at<void>(bias, of) : nullptr, n, k};
    };
    DmsCudaLayerProducts p = {};
    p.rows = s.rows, p.eps = EPS, p.next_norm = last ? at<float>(norm) : at<float>(input_norm, layer + 1);
    p.attended = at<void>(attended), p.x = at<float>(x), p.normed = at<void>(normed), p.squares = at<float>(squares);
    p.activated = at<void>(activated), p.qkv_out = at<void>(qkv_out);
    p.arrivals = at<int32_t>(arrivals) + (layer + 1) * DMS_CUDA_PRODUCT_ARRIVALS;
    if (!last) p.qkv = linear(qkv, qkv_bias, layer + 1, s.qkv, s.hidden);
    if (layer < 0) return p;
    p.output = linear(output, output_bias, layer, s.hidden, s.attended);
    p.gate_up = linear(gate_up, 0, layer, 2 * s.intermediate, s.hidden);
    p.down = linear(down, down_bias, layer, s.hidden, s.intermediate);
    p.post_norm = at<float>(post_norm, layer);
    return p;
  }

  void spoil(size_t place, size_t bytes) { std::memset(at<char>(place), 0xFF, bytes); }
  /* Nothing that a launch is to write has its value before: NaNs lie there. */
  void spoil_outputs(const DmsCudaLayerProducts &p) {
    if (p.qkv.weight) spoil(qkv_out, s.rows * s.qkv * sizeof(bf16));
    if (!p.output.weight) return;
    spoil(normed, s.rows * s.hidden * sizeof(bf16)), spoil(activated, s.rows * s.intermediate * sizeof(bf16));
    int written = std::min<int>(s.processors / kRanks, kMostClusters) * kFinishers;
    for (int row = 0; row < s.rows; row++) std::fill_n(at<float>(squares) + row * SQUARES, written, NAN);
  }
  /* What the launch is to read is not there either before the kernel before it has ended, which may read what this one
   * writes. */
  void overlap() {
    std::vector<char> values(at<char>(work), at<char>(memory.used));
    spoil(attended, s.rows * s.attended * sizeof(bf16)), spoil(x, s.rows * s.hidden * sizeof(float));
    spoil(normed, s.rows * s.hidden * sizeof(bf16)), spoil(squares, s.rows * SQUARES * sizeof(float));
    std::vector<char> spoiled(at<char>(work), at<char>(memory.used));
    emulated_overlap([=] {
      g_assert_true(!std::memcmp(at<char>(work), spoiled.data(), spoiled.size()));
      std::copy(values.begin(), values.end(), at<char>(work));
    });
  }

  /* ---- What is to come of it ---- */

  struct Row {
    Vector x, squares, normed, activated, qkv_out;
  };

  Vector row_of(size_t place, int row, int n, bool wide) {
    Vector values(n);
    for (int i = 0; i < n; i++)
      values[i] = wide ? at<float>(place)[row * n + i] : to_float(at<bf16>(place)[row * n + i]);
    return values;
  }
  static double rounded(double x) { return to_float(__float2bfloat16((float)x)); }
  static Vector times(const Vector &x, const float *norm) {
    Vector y(x.size());
    for (size_t i = 0; i < x.size(); i++) y[i] = rounded(x[i] * norm[i]);
    return y;
  }
  static void add_product(Vector &x, const DmsCudaLinear &linear, const Vector &from) {
    Vector more = multiply_by(linear.weight, linear.n, from);
    for (int i = 0; i < linear.n; i++) x[i] += more[i] + (linear.bias ? ((const float *)linear.bias)[i] : 0);
  }
  Row want(const DmsCudaLayerProducts &p, int row) {
    Row r = {row_of(x, row, s.hidden, true), Vector(1), row_of(normed, row, s.hidden, false), Vector(), Vector()};
    if (p.output.weight) {
      add_product(r.x, p.output, row_of(attended, row, s.attended, false));
      Vector both = multiply_by(p.gate_up.weight, p.gate_up.n, times(r.x, p.post_norm));
      double factor = inverse_rms(r.x.data(), s.hidden, EPS);
      for (int i = 0; i < s.intermediate; i++)
        r.activated.push_back(rounded(swiglu_of(both[i] * factor, both[i + s.intermediate] * factor)));
      add_product(r.x, p.down, r.activated);
      r.normed = times(r.x, p.next_norm);
    }
    for (double value : r.x) r.squares[0] += value * value;
    if (!p.qkv.weight) return r;
    r.qkv_out = multiply_by(p.qkv.weight, p.qkv.n, r.normed);
    double factor = inverse_rms(r.x.data(), s.hidden, EPS);
    for (int i = 0; i < p.qkv.n; i++)
      r.qkv_out[i] = r.qkv_out[i] * factor + (p.qkv.bias ? to_float(((const bf16 *)p.qkv.bias)[i]) : 0);
    return r;
  }

  /* ---- Whether it came ---- */

  static void check_near(const char *what, const Vector &got, const Vector &wanted) {
    double rms = 1 / inverse_rms(wanted.data(), (int)wanted.size(), 0), farthest = 0;
    for (size_t i = 0; i < wanted.size(); i++) {
      double off = std::fabs(got[i] - wanted[i]) / (std::fabs(wanted[i]) + rms);
      if (!(off <= farthest)) farthest = off;
    }
    if (!(farthest < NEAR)) g_test_message("%s is off by %g", what, farthest);
    g_assert_true(farthest < NEAR);
  }
  void check_row(int row, const Row &wanted) {
    Vector found = row_of(squares, row, SQUARES, true), sum(1);
    for (double value : found) sum[0] += value;
    check_near("x", row_of(x, row, s.hidden, true), wanted.x);
    check_near("squares", sum, wanted.squares);
    check_near("normed", row_of(normed, row, s.hidden, false), wanted.normed);
    if (!wanted.activated.empty())
      check_near("activated", row_of(activated, row, s.intermediate, false), wanted.activated);
    if (!wanted.qkv_out.empty()) check_near("qkv_out", row_of(qkv_out, row, s.qkv, false), wanted.qkv_out);
  }
  /* Rows that there are not are left alone. */
  void check_guards() {
    auto untouched = [&](size_t place, size_t row_bytes) {
      const char *guard = at<char>(place) + s.rows * row_bytes;
      for (size_t i = 0; i < GUARD_ROWS * row_bytes; i++) g_assert_cmpint(guard[i], ==, (char)0xFF);
    };
    untouched(x, s.hidden * sizeof(float)), untouched(squares, SQUARES * sizeof(float));
    untouched(normed, s.hidden * sizeof(bf16)), untouched(activated, s.intermediate * sizeof(bf16));
    untouched(qkv_out, s.qkv * sizeof(bf16));
  }

  /* A launch with orders drawn from `order`. */
  void launch(int layer, uint32_t order, bool checks) {
    DmsCudaLayerProducts p = products_of(layer);
    emulated_seed(100 + layer);
    fill(at<bf16>(attended), (size_t)s.rows * s.attended, 1);
    std::vector<Row> wanted;
    for (int row = 0; checks && row < s.rows; row++) wanted.push_back(want(p, row));
    spoil_outputs(p);
    emulated_seed(order);
    overlap();
    g_assert_cmpint(dms_cuda_layer_products(nullptr, &p), ==, cudaSuccess);
    for (int row = 0; checks && row < s.rows; row++) check_row(row, wanted[row]);
    check_guards();
  }
};

void test_shape(gconstpointer data) {
  const TestShape &shape = *(const TestShape *)data;
  emulated_seed(20);
  Fixture fixture(shape);
  DmsCudaLayerProducts products = fixture.products_of(0);
  int takes;
  g_assert_cmpint(dms_cuda_layer_products_takes(&products, &takes), ==, cudaSuccess);
  g_assert_true(takes);
  Layer layer;
  int shared;
  cut_layer(products, &layer, &shared);
  std::vector<int> by_twos;
  for (int phase = layer.first; phase < layer.end; phase++)
    if (layer.phase[phase].together == 2) by_twos.push_back(phase);
  g_assert_cmpint(layer.phase[kGateUp].passes, ==, shape.passes);
  g_assert_true(by_twos == shape.by_twos);
  const std::vector<char> before = fixture.memory.bytes;
  std::vector<char> after;
  for (int run = 0; run < 2; run++) { /* orders differ, bits do not */
    fixture.memory.bytes = before;
    for (int i = -1; i < shape.layers; i++) fixture.launch(i, 1000 * run + i + 2, run == 0);
    if (run) g_assert_true(after == fixture.memory.bytes);
    after = fixture.memory.bytes;
  }
}

void test_refusals(void) {
  static const TestShape shapes[] = {
      {2, 8, 12, 227, 768, 256, 256, 256, false, 0, {}}, /* boxes of more rows than there may be */
      {2, 8, 12, 227, 320, 256, 256, 256, false, 0, {}}, /* a depth that does not part into boxes */
      {2, 8, 12, 227, 256, 256, 256, 260, false, 0, {}}, /* outputs that are no units */
      {2, 8, 12, 30, 256, 256, 256, 256, false, 0, {}},  /* no room for the weights */
      {2, 8, 3, 227, 256, 256, 256, 256, false, 0, {}},  /* no cluster fits */
  };
  for (const TestShape &shape : shapes) {
    Fixture fixture(shape);
    DmsCudaLayerProducts products = fixture.products_of(0);
    int takes;
    g_assert_cmpint(dms_cuda_layer_products_takes(&products, &takes), ==, cudaSuccess);
    g_assert_false(takes);
  }
}

} // namespace

int main(int argc, char **argv) {
  static const NamedShape<TestShape> tests[] = {
      {"one-row", {1, 1, 8, 227, 256, 256, 256, 384, false, 1, {}}},
      {"odd-depth", {2, 5, 12, 227, 256, 768, 768, 392, true, 1, {kOutput, kDown}}},
      {"two-passes", {1, 16, 8, 227, 256, 256, 1024, 384, false, 2, {kDown}}},
      {"small-ring", {2, 17, 12, 100, 256, 512, 1024, 256, true, 2, {kOutput, kDown}}},
      {"deep", {1, 32, 10, 227, 256, 256, 4096, 256, false, 5, {kDown}}},
      {"wide", {2, 40, 12, 227, 512, 256, 512, 640, true, 1, {kGateUp}}},
      {"all-rows", {2, 64, 12, 227, 512, 512, 768, 512, false, 1, {kGateUp}}},
      {"tight-ring", {2, 9, 12, 76, 512, 256, 512, 264, false, 1, {kGateUp, kQkv}}},
      {"around-the-slots", {1, 12, 16, 82, 768, 256, 2304, 256, false, 3, {kGateUp}}},
      {"all-stages", {1, 1, 24, 227, 256, 9216, 256, 256, false, 1, {kOutput}}},
      {"three-layers", {3, 12, 12, 227, 512, 256, 1280, 264, true, 1, {kQkv}}},
  };
  g_test_init(&argc, &argv, NULL);
  add_tests("layer-products", tests, test_shape);
  g_test_add_func("/emulation/layer-products/refusals", test_refusals);
  return g_test_run();
}
