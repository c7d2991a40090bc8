#include "tests/emulation/emulation.h"

#include <cstdio>
#include <cstdlib>
#include <list>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;
int emulated_processors, emulated_shared_bytes = 227 << 10;

namespace {

enum State : uint8_t { RUNS, AT_WARP_BARRIER, AT_BARRIER, AT_CLUSTER_BARRIER, AT_MBARRIER, RETURNED };
const char *const STATES[] = {"runs", "warp barrier", "barrier", "cluster barrier", "mbarrier", "returned"};

struct Fiber {
  void *here[5]; /* where it goes on */
  State state = RUNS;
  bool begun = false;
  unsigned shuffles = 0;
  int barrier = 0, threads = 0;       /* what it waits at, and how many have to come */
  const uint64_t *mbarrier = nullptr; /* the same */
  uint32_t parity = 0;                /* of the mbarrier's phase */
  std::list<std::function<void()>> in_order;
};

constexpr size_t STACK = 64 << 10;
constexpr int MOST_IDLE_ROUNDS = 5000, MOST_NAMED = 20, LONGEST_NAP = 512;

std::vector<Fiber> fibers;
char *stacks;
void *scheduler[5];
int current, ranks_of_cluster;
const std::function<void()> *body;
std::vector<int> left;          /* [CTAs] threads that have not returned */
std::vector<int> naps;          /* [warps] rounds that a warp sleeps */
std::vector<uint64_t> shuffled; /* [warps][2][32] */
std::vector<uint32_t> scratch;  /* [warps][32][8] */
std::vector<std::function<void()>> pending;
std::function<void()> previous; /* what the kernel before has still to do */
uint32_t state_of_random = 1;

int warps_of_cta() {
  return (blockDim.x + 31) / 32;
}
int warp() {
  return blockIdx.x * warps_of_cta() + threadIdx.x / 32;
}

/* Unlike swapcontext() these make no system call. They lose all registers: noipa, for the compiler to know. */
__attribute__((noipa, noreturn)) void jump(void **to) {
  __builtin_longjmp(to, 1);
}
__attribute__((noipa)) void leave(State state) {
  Fiber &fiber = fibers[current];
  fiber.state = state;
  if (!__builtin_setjmp(fiber.here)) jump(scheduler);
}
void run_body() {
  (*body)();
  left[blockIdx.x]--;
  leave(RETURNED);
}
__attribute__((noipa)) void begin(Fiber &fiber) {
  ucontext_t unused, context;
  fiber.begun = true;
  getcontext(&context);
  context.uc_stack.ss_sp = stacks + current * STACK, context.uc_stack.ss_size = STACK;
  makecontext(&context, run_body, 0);
  swapcontext(&unused, &context);
}
__attribute__((noipa)) void resume(int i) {
  current = i, threadIdx.x = i % blockDim.x, blockIdx.x = i / blockDim.x;
  if (__builtin_setjmp(scheduler)) return;
  if (fibers[i].begun) jump(fibers[i].here);
  begin(fibers[i]);
}
int draw(int n) {
  return (int)(emulated_random() % (uint32_t)n);
}

/* Does some of what is pending, in any order. */
bool do_pending() {
  if (pending.empty()) return false;
  for (int n = 1 + draw((int)pending.size()); n; n--) {
    std::swap(pending[draw((int)pending.size())], pending.back());
    std::function<void()> action = std::move(pending.back());
    pending.pop_back();
    action();
  }
  return true;
}

/* Lets a warp run for a while. Returns whether any of its threads got somewhere. */
bool run_warp(int first, int n) {
  bool progress = false;
  for (int k = 0; k < n; k++) {
    Fiber &fiber = fibers[first + k];
    if (fiber.state == AT_MBARRIER && emulated_mbarrier_done(fiber.mbarrier, fiber.parity))
      fiber.state = RUNS, progress = true;
  }
  bool moved = true; /* who yields waits for others */
  for (int turns = 1 + draw(32); turns && moved; turns--) {
    int waiting = 0, others = 0;
    moved = false;
    for (int k = 0, lane = draw(n); k < n; k++, lane = lane + 1 < n ? lane + 1 : 0) {
      Fiber &fiber = fibers[first + lane];
      if (fiber.state == RUNS) resume(first + lane), moved |= fiber.state != RUNS;
      waiting += fiber.state == AT_WARP_BARRIER, others += fiber.state == RUNS || fiber.state == AT_MBARRIER;
    }
    progress |= moved;
    if (waiting == n)
      for (int k = 0; k < n; k++) fibers[first + k].state = RUNS;
    else if (waiting && !others)
      emulated_fail("threads of a warp wait for each other at different places");
  }
  return progress;
}

/* A warp or a CTA falls behind: seldom far. */
void nap() {
  int n = draw(4) == 0 ? warps_of_cta() : 1, first = draw((int)naps.size() / n) * n;
  std::fill_n(naps.begin() + first, n, draw(LONGEST_NAP) >> draw(8));
}

/* Opens a barrier of threads first .. end - 1 if enough have come. */
bool open_barrier(State state, int name, int first, int end) {
  int came = 0, wanted = 0;
  auto waits = [&](const Fiber &f) { return f.state == state && f.barrier == name; };
  for (int i = first; i < end; i++)
    if (waits(fibers[i])) came++, wanted = fibers[i].threads;
  if (!came || came < wanted) return false;
  for (int i = first; i < end; i++)
    if (waits(fibers[i])) fibers[i].state = RUNS;
  return true;
}
bool open_barriers() {
  bool opened = false;
  int n = (int)fibers.size(), of_cluster = ranks_of_cluster * blockDim.x;
  for (int first = 0; first < n; first += blockDim.x)
    for (int name = 0; name < 16; name++) opened |= open_barrier(AT_BARRIER, name, first, first + blockDim.x);
  for (int first = 0; first < n; first += of_cluster)
    opened |= open_barrier(AT_CLUSTER_BARRIER, 0, first, first + of_cluster);
  return opened;
}

/* Says where the threads that hang are: a thread of each warp. */
[[noreturn]] void report_hang() {
  int named = 0;
  for (size_t i = 0, next = 0; i < fibers.size() && named < MOST_NAMED; i++) {
    const Fiber &f = fibers[i];
    if (i < next || f.state == RETURNED) continue;
    std::fprintf(stderr, "CTA %d thread %d: %s", (int)i / blockDim.x, (int)i % blockDim.x, STATES[f.state]);
    blockIdx.x = (int)i / blockDim.x;
    if (f.state == AT_MBARRIER)
      std::fprintf(stderr, " at byte %d, parity %u", (int)((const char *)f.mbarrier - emulated_shared()), f.parity);
    std::fprintf(stderr, "\n");
    next = i / blockDim.x * blockDim.x + (i % blockDim.x / 32 + 1) * 32, named++;
  }
  std::fprintf(stderr, "threads wait in vain\n");
  std::abort();
}

} // namespace

void emulated_seed(uint32_t seed) {
  state_of_random = seed ? seed : 1;
}
uint32_t emulated_random() { /* xorshift */
  uint32_t &x = state_of_random;
  x ^= x << 13, x ^= x >> 17, x ^= x << 5;
  return x;
}

void emulated_fail(const char *what) {
  std::fprintf(stderr, "CTA %d thread %d: %s\n", blockIdx.x, threadIdx.x, what);
  std::abort();
}
void emulated_yield() {
  leave(RUNS);
}
void emulated_barrier(int name, int threads) {
  fibers[current].barrier = name, fibers[current].threads = threads;
  leave(AT_BARRIER);
}
void emulated_cluster_barrier() {
  fibers[current].barrier = 0, fibers[current].threads = ranks_of_cluster * blockDim.x;
  leave(AT_CLUSTER_BARRIER);
}
void emulated_mbarrier_await(const uint64_t *barrier, uint32_t parity) {
  fibers[current].mbarrier = barrier, fibers[current].parity = parity;
  leave(AT_MBARRIER);
}
void emulated_warp_barrier() {
  leave(AT_WARP_BARRIER);
}
uint64_t emulated_shuffle(uint64_t x, int lane) {
  int turn = fibers[current].shuffles++ % 2; /* others may still read what was shuffled before */
  uint64_t *values = &shuffled[(size_t)(warp() * 2 + turn) * 32];
  values[threadIdx.x % 32] = x;
  emulated_warp_barrier();
  return values[lane & 31];
}
uint32_t *emulated_warp_scratch() {
  return &scratch[(size_t)warp() * 32 * 8];
}
int emulated_thread() {
  return current;
}
bool emulated_exited(int cta) {
  return !left[cta];
}
void emulated_later(std::function<void()> action) {
  pending.push_back(std::move(action));
}
void emulated_in_order(std::function<void()> action) {
  std::list<std::function<void()>> &in_order = fibers[current].in_order;
  in_order.push_back(std::move(action));
  emulated_later([&] {
    in_order.front()();
    in_order.pop_front();
  });
}
void emulated_overlap(std::function<void()> end) {
  previous = std::move(end);
}
void emulated_wait_for_previous() {
  while (previous) emulated_yield();
}
void emulated_store(void *to, uint32_t x) {
  emulated_later([=] { std::memcpy(to, &x, sizeof x); });
}

void emulate(int grid, int threads, size_t shared_bytes, const std::function<void()> &thread, int ranks) {
  int n = grid * threads;
  gridDim.x = grid, blockDim.x = threads, ranks_of_cluster = ranks, body = &thread;
  void *memory = mmap(nullptr, n * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  stacks = (char *)memory;
  emulated_shared_begin(grid, ranks, shared_bytes);
  shuffled.assign((size_t)grid * warps_of_cta() * 2 * 32, 0), scratch.assign((size_t)grid * warps_of_cta() * 32 * 8, 0);
  fibers.assign(n, {}), left.assign(grid, threads), naps.assign((size_t)grid * warps_of_cta(), 0);
  std::vector<int> order((size_t)grid * warps_of_cta());
  for (size_t i = 0; i < order.size(); i++) order[i] = (int)i;
  int idle = 0, rounds = previous ? draw(LONGEST_NAP) >> draw(8) : 0; /* until the kernel before ends */
  while (std::any_of(left.begin(), left.end(), [](int threads_left) { return threads_left > 0; }) || !pending.empty() ||
         previous) {
    bool progress = do_pending();
    for (int i = (int)order.size() - 1; i > 0; i--) std::swap(order[i], order[draw(i + 1)]);
    nap();
    if (previous && !rounds--) previous(), previous = nullptr;
    for (int w : order) {
      if (naps[w] && naps[w]--) continue;
      int first = w % warps_of_cta() * 32;
      progress |= run_warp(w / warps_of_cta() * threads + first, std::min(32, threads - first));
    }
    progress |= open_barriers();
    idle = progress ? 0 : idle + 1;
    if (idle == MOST_IDLE_ROUNDS) report_hang();
  }
  munmap(stacks, n * STACK);
}
