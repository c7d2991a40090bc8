/* Decode attention by the tensor cores' kernel (engine/cuda/decode_attention.cuh) and the plan that deals it out, run
 * on the CPU by tests/emulation, against double precision: what is attended to, the pages that it appends to, its
 * decisions. */
#include "tests/emulation/emulation.h"

#include "engine/cuda/decode_attention.cuh"
#include "engine/cuda/decode_plan.cuh"

#include "tests/emulation/reference.h"

namespace {

struct TestShape {
  int head_dim, group, parts, longest; /* list */
  bool e4m3, norms, borrowed, rezero;
  DmsCudaDecision decision;
};

/* The row IDLE does not run. */
enum { LAYERS = 2, LAYER = 1, ROWS = 5, IDLE = 2, KV_HEADS = 2, PAIRS = LAYERS * KV_HEADS, RING = 8, POSITIONS = 40 };
constexpr float RATE = 0.5f, SCALE = 100, OFFSET = 5, EPS = 1e-6f, OLD_SCALE = 1 / 16.0f;

template <typename P> struct Fixture {
  const TestShape &s;
  int dim, heads, stride, max_pages;
  std::vector<char> pool;
  std::vector<int32_t> table, recent, slots, positions;
  std::vector<DmsCudaList> lists;
  std::vector<DmsCudaShare> shares;
  std::vector<bf16> qkv, out;
  std::vector<float> q_norm, k_norm;
  std::vector<float2> turns;
  std::vector<char> scratch;
  DmsCudaRope rope = {};
  DmsCudaCache cache = {};
  DmsCudaRows rows = {};

  explicit Fixture(const TestShape &shape)
      : s(shape), dim(s.head_dim), heads(s.group * KV_HEADS), stride((heads + 2 * KV_HEADS) * dim),
        max_pages(s.longest / DMS_CUDA_PAGE + 1), table(ROWS * PAIRS * max_pages), recent(ROWS * RING * PAIRS),
        slots(ROWS), positions(ROWS), lists(LAYERS * ROWS * KV_HEADS), shares(LAYERS * s.parts), qkv(ROWS * stride),
        out(ROWS * heads * dim), q_norm(dim), k_norm(dim), turns(POSITIONS * dim / 2) {
    cache = {s.e4m3 ? DMS_CUDA_E4M3 : DMS_CUDA_BF16, LAYERS, KV_HEADS, dim, ROWS, max_pages, RING};
    cache.page_bytes = 2 * DMS_CUDA_PAGE * dim * sizeof(P) + (s.e4m3 ? DMS_CUDA_PAGE_HEAD : 0);
    pool.resize((table.size() + 1) * cache.page_bytes + 256);
    cache.pool = (uint8_t *)pool.data() + (256 - (uintptr_t)pool.data() % 256);
    cache.table = table.data(), cache.recent = recent.data();
    rows.rows = ROWS, rows.slots = slots.data(), rows.positions = positions.data(), rows.lists = lists.data();
    rows.shares = shares.data(), rows.parts = s.parts;
    rope.heads = {DMS_CUDA_BF16, heads, KV_HEADS, s.group, dim, stride, 1 / std::sqrt((float)dim)};
    rope.rule = {s.decision, s.borrowed, 1, s.rezero, 0, POSITIONS / 2, SCALE, OFFSET, RATE};
    rope.qkv = qkv.data(), rope.eps = EPS, rope.rope = turns.data(), rope.layer = LAYER;
    if (s.norms) rope.q_norm = q_norm.data(), rope.k_norm = k_norm.data();
    for (float &x : q_norm) x = (float)(1 + 0.2 * number());
    for (float &x : k_norm) x = (float)(1 + 0.2 * number());
    for (size_t i = 0; i < turns.size(); i++) {
      float angle = (float)(6.3 * uniform());
      turns[i] = {std::cos(angle), std::sin(angle)};
    }
    fill(qkv.data(), qkv.size(), 1);
    fill_cache();
  }

  /* Lists of all lengths in pages from all over the pool; behind its items a page holds anything. A token takes over an
   * item or is appended. Some keys and values are larger than their pages' scales allow for. */
  void fill_cache() {
    for (char &byte : pool) byte = (char)emulated_random();
    for (size_t i = 0; i < table.size(); i++) table[i] = (int)i;
    for (size_t i = table.size() - 1; i > 0; i--) std::swap(table[i], table[emulated_random() % (i + 1)]);
    for (int row = 0; row < ROWS; row++) {
      slots[row] = row == IDLE ? -1 : ROWS - 1 - row, positions[row] = RING + row;
      for (int layer = 0; layer < LAYERS; layer++)
        for (int head = 0; head < KV_HEADS; head++) {
          DmsCudaList &list = lists[(layer * ROWS + row) * KV_HEADS + head];
          int n = row == IDLE ? 0 : 1 + emulated_random() % (emulated_random() % 4 ? s.longest : 3);
          if (emulated_random() % 4 == 0 && n > 16) n = n / 16 * 16 + 1;
          list = {slots[row], n, n && emulated_random() % 2 ? (int)(emulated_random() % n) : n - 1, 0};
          for (int item = 0; item < n; item++)
            for (int i = 0; i < 2 * dim; i++) put(layer, head, list, item, i / dim, i % dim, number());
          /* But for the values that are multiplied with it. */
          for (int item = n; item % 16 && !begins_rows(list); item++)
            for (int i = 0; i < dim; i++) put(layer, head, list, item, 1, i, 0);
        }
      for (int i = heads * dim; i < stride && row % 2; i++) qkv[row * stride + i] = from_float<bf16>(60 * number());
    }
  }
  int page_of(int layer, int head, const DmsCudaList &list, int item) {
    return table_of(cache, list.slot, layer, head)[item / DMS_CUDA_PAGE];
  }
  P &element(int page, int row, int is_value, int channel) {
    return page_base<P>(cache, page)[is_value * DMS_CUDA_PAGE * dim + page_offset<P>(row, channel, dim)];
  }
  void put(int layer, int head, const DmsCudaList &list, int item, int is_value, int channel, float x) {
    int page = page_of(layer, head, list, item);
    bool fresh = list.arriving == item && item == list.length - 1 && item % DMS_CUDA_PAGE == 0;
    if (s.e4m3) page_scales(cache, page)[is_value] = fresh ? 0 : OLD_SCALE;
    if (!fresh) element(page, item % DMS_CUDA_PAGE, is_value, channel) = from_float<P>(s.e4m3 ? x / OLD_SCALE : x);
  }
  double get(int head, const DmsCudaList &list, int item, int is_value, int channel) {
    int page = page_of(LAYER, head, list, item);
    return (double)to_float(element(page, item % DMS_CUDA_PAGE, is_value, channel)) *
           scale_of<P>(cache, page, is_value);
  }

  /* A head vector of a row, as the product left it or normalised and rotated. Sets its last channel before that. */
  Vector vector_of(int row, int head, bool turned, bool lends, double *last) {
    Vector x(dim);
    for (int i = 0; i < dim; i++) x[i] = to_float(qkv[row * stride + head * dim + i]);
    if (!turned) return x;
    double before = turn_head(x.data(), dim, head < heads ? rope.q_norm : rope.k_norm, EPS,
                              &turns[positions[row] * dim / 2], lends, s.rezero);
    if (last) *last = before;
    for (double &value : x) value = to_float(from_float<bf16>((float)value));
    return x;
  }

  void run() {
    scratch.assign(s.parts * (s.head_dim == 64 ? sizeof(Partial<64>) : sizeof(Partial<128>)) + 16, 0);
    emulate(LAYERS, 1024, (kScanRoom + ROWS * KV_HEADS + 1) * sizeof(int),
            [&] { plan_shares_kernel(cache, dms_cuda_block(cache.type), rows); });
    dim == 64 ? attend<64>() : attend<128>();
    for (char byte : scratch) g_assert_cmpint(byte, ==, 0);
  }
  template <int D> void attend() {
    auto partials = reinterpret_cast<Partial<D> *>(scratch.data() + (16 - (uintptr_t)scratch.data() % 16) % 16);
    emulate(s.parts, kThreads, sizeof(TileMemory<D, P>),
            [&] { decode_attention_kernel<D, P>(rope, cache, rows, out.data(), partials); });
  }

  /* ---- Whether it came ---- */

  void check_item(int row, int head, const DmsCudaList &list) {
    for (int is_value = 0; is_value < 2; is_value++) {
      Distance distance;
      Vector want = vector_of(row, heads + is_value * KV_HEADS + head, !is_value, false, nullptr);
      for (int i = 0; i < dim; i++) distance.add(get(head, list, list.arriving, is_value, i), want[i]);
      g_assert_cmpfloat(distance.relative(), <, s.e4m3 ? 0.05 : 4e-3);
    }
  }
  /* All items but the arriving one are as they were, or as near as a page's new scale lets them be. */
  void check_others(Fixture &before, int head, const DmsCudaList &list) {
    for (int item = 0; item < list.length; item++)
      for (int i = 0; item != list.arriving && i < 2 * dim; i++) {
        double was = before.get(head, list, item, i / dim, i % dim), is = get(head, list, item, i / dim, i % dim),
               unit = scale_of<P>(cache, page_of(LAYER, head, list, item), i / dim);
        if (!s.e4m3 || unit == OLD_SCALE)
          g_assert_cmpfloat(is, ==, was);
        else
          g_assert_cmpfloat(std::fabs(is - was), <=, std::fabs(was) / 16 + unit / 512);
      }
  }
  double check_attention(int row, int head, const DmsCudaList &list) {
    Distance distance;
    for (int g = 0; g < s.group; g++) {
      Vector q = vector_of(row, head * s.group + g, true, g == 0 && s.borrowed, nullptr),
             want = attend_to(list.length, q.data(), dim, rope.heads.scale, [&](int item, int is_value, int channel) {
               return get(head, list, item, is_value, channel);
             });
      for (int i = 0; i < dim; i++) distance.add(to_float(out[(row * heads + head * s.group + g) * dim + i]), want[i]);
    }
    return distance.relative();
  }
  void check_flag(int row, int head, int slot) {
    double logit;
    vector_of(row, head * s.group, true, false, &logit);
    if (s.decision == DMS_CUDA_BORROWED && std::fabs(logit * SCALE - OFFSET) < 0.5) return; /* a near thing */
    for (int i = 0; i < RING; i++)
      for (int layer = 0; layer < LAYERS; layer++) {
        bool says = layer == LAYER && i == (positions[row] - 1) % RING &&
                    says_evict(rope.rule, LAYER * KV_HEADS + head, positions[row], (float)logit);
        g_assert_cmpint(recent[(slot * RING + i) * PAIRS + layer * KV_HEADS + head], ==, says);
      }
  }
  void check(Fixture &before) {
    double worst = 0;
    int items = 0;
    for (int row = 0; row < ROWS; row++)
      for (int head = 0; head < KV_HEADS && row != IDLE; head++) {
        const DmsCudaList &list = lists[(LAYER * ROWS + row) * KV_HEADS + head];
        check_item(row, head, list);
        check_others(before, head, list);
        check_flag(row, head, list.slot);
        double apart = check_attention(row, head, list);
        g_assert_cmpfloat(apart, <, 6e-3);
        worst = std::max(worst, apart), items += list.length;
      }
    g_test_message("%d items, off by %.1e at most", items, worst);
  }
};

template <typename P> void test(const TestShape &shape) {
  emulated_seed(7);
  Fixture<P> before(shape);
  emulated_seed(7);
  Fixture<P> after(shape);
  after.run();
  after.check(before);
}
void test_shape(gconstpointer data) {
  const TestShape &shape = *(const TestShape *)data;
  shape.e4m3 ? test<e4m3>(shape) : test<bf16>(shape);
}

} // namespace

int main(int argc, char **argv) {
  static const NamedShape<TestShape> tests[] = {
      {"head_dim-128/borrowed", {128, 4, 5, 400, false, true, true, true, DMS_CUDA_BORROWED}},
      {"head_dim-128/drawn", {128, 7, 9, 300, false, false, false, false, DMS_CUDA_RANDOM}},
      {"head_dim-128/one-cta", {128, 8, 1, 300, false, true, false, false, DMS_CUDA_SINKS}},
      {"head_dim-128/long-list", {128, 1, 8, 1500, false, false, false, false, DMS_CUDA_KEEP}},
      {"head_dim-128/fp8", {128, 4, 5, 400, true, true, true, false, DMS_CUDA_BORROWED}},
      {"head_dim-128/fp8-one-cta", {128, 5, 1, 300, true, false, false, false, DMS_CUDA_RANDOM}},
      {"head_dim-64/drawn", {64, 3, 6, 500, false, true, false, false, DMS_CUDA_RANDOM}},
      {"head_dim-64/borrowed", {64, 7, 3, 300, false, false, true, false, DMS_CUDA_BORROWED}},
      {"head_dim-64/fp8", {64, 8, 4, 500, true, false, false, false, DMS_CUDA_RANDOM}},
  };
  g_test_init(&argc, &argv, NULL);
  add_tests("decode-attention", tests, test_shape);
  return g_test_run();
}
