#include "tests/emulation/emulation.h"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;
int emulated_processors, emulated_shared_bytes = 227 << 10;

namespace {

enum State { RUNS, AT_WARP_BARRIER, AT_BARRIER, RETURNED };
struct Fiber {
  ucontext_t context; /* where it begins */
  jmp_buf here;       /* and goes on: unlike swapcontext() this makes no system call */
  bool begun;
  int cta, thread, barrier, threads; /* what it waits at, and how many have to come */
  State state;
};

constexpr size_t STACK = 64 << 10;
constexpr int MOST_IDLE_ROUNDS = 5000;

std::vector<Fiber> fibers;
ucontext_t unused;
jmp_buf scheduler;
int current;
const std::function<void()> *body;
std::vector<uint64_t> shuffled; /* [warps][32] */
std::vector<uint32_t> scratch;  /* [warps][32][8] */
std::vector<char> shared;       /* [CTAs][shared_bytes] */
size_t shared_of_cta;
std::vector<std::function<void()>> pending;
uint32_t state_of_random = 1;

int warps_of_cta() {
  return (blockDim.x + 31) / 32;
}
int warp() {
  return fibers[current].cta * warps_of_cta() + fibers[current].thread / 32;
}
void leave(State state) {
  Fiber &fiber = fibers[current];
  fiber.state = state;
  if (!_setjmp(fiber.here)) _longjmp(scheduler, 1);
}
void run_body() {
  (*body)();
  leave(RETURNED);
}
void resume(int i) {
  Fiber &fiber = fibers[i];
  current = i, threadIdx.x = fiber.thread, blockIdx.x = fiber.cta;
  if (_setjmp(scheduler)) return;
  if (fiber.begun) _longjmp(fiber.here, 1);
  fiber.begun = true;
  swapcontext(&unused, &fiber.context);
}
int draw(int n) {
  return (int)(emulated_random() % (uint32_t)n);
}

/* Does some of what is pending, in any order. */
bool do_pending() {
  if (pending.empty()) return false;
  for (int n = 1 + draw((int)pending.size()); n; n--) {
    std::swap(pending[draw((int)pending.size())], pending.back());
    pending.back()();
    pending.pop_back();
  }
  return true;
}

/* Lets a warp run for a while. Returns whether any of its threads got somewhere. */
bool run_warp(int first, int n) {
  bool progress = false;
  for (int turns = 1 + draw(32); turns; turns--) {
    bool ran = false;
    int waiting = 0, running = 0;
    for (int k = 0, start = draw(n); k < n; k++) {
      Fiber &fiber = fibers[first + (start + k) % n];
      if (fiber.state != RUNS) continue;
      resume(first + (start + k) % n);
      ran = true, progress |= fiber.state != RUNS;
    }
    for (int k = 0; k < n; k++)
      waiting += fibers[first + k].state == AT_WARP_BARRIER, running += fibers[first + k].state == RUNS;
    if (waiting == n) {
      for (int k = 0; k < n; k++) fibers[first + k].state = RUNS;
    } else if (waiting && !running) {
      std::fprintf(stderr, "a warp's threads wait for each other at different places\n");
      std::abort();
    }
    if (!ran) break;
  }
  return progress;
}

/* Opens the barriers at which enough have come. */
bool open_barriers(int cta) {
  bool opened = false;
  for (int name = 0; name < 16; name++) {
    int came = 0, wanted = 0;
    for (int i = cta * blockDim.x; i < (cta + 1) * blockDim.x; i++)
      if (fibers[i].state == AT_BARRIER && fibers[i].barrier == name) came++, wanted = fibers[i].threads;
    if (!came || came < wanted) continue;
    for (int i = cta * blockDim.x; i < (cta + 1) * blockDim.x; i++)
      if (fibers[i].state == AT_BARRIER && fibers[i].barrier == name) fibers[i].state = RUNS;
    opened = true;
  }
  return opened;
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

void emulated_yield() {
  leave(RUNS);
}
void emulated_barrier(int name, int threads) {
  fibers[current].barrier = name, fibers[current].threads = threads;
  leave(AT_BARRIER);
}
void emulated_warp_barrier() {
  leave(AT_WARP_BARRIER);
}
uint64_t emulated_shuffle(uint64_t x, int lane) {
  uint64_t *values = &shuffled[(size_t)warp() * 32];
  values[threadIdx.x % 32] = x;
  emulated_warp_barrier();
  x = values[lane & 31];
  emulated_warp_barrier();
  return x;
}
char *emulated_shared() {
  return &shared[fibers[current].cta * shared_of_cta];
}
uint32_t *emulated_warp_scratch() {
  return &scratch[(size_t)warp() * 32 * 8];
}
void emulated_later(std::function<void()> action) {
  pending.push_back(std::move(action));
}
void emulated_store(void *to, uint32_t x) {
  emulated_later([=] { std::memcpy(to, &x, sizeof x); });
}

void emulate(int grid, int threads, size_t shared_bytes, const std::function<void()> &thread) {
  int n = grid * threads;
  gridDim.x = grid, blockDim.x = threads, body = &thread;
  void *stacks = mmap(nullptr, n * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stacks == MAP_FAILED) std::abort();
  shared_of_cta = (shared_bytes + 1023) / 1024 * 1024, shared.resize(grid * shared_of_cta);
  for (char &byte : shared) byte = (char)emulated_random();
  shuffled.assign((size_t)grid * warps_of_cta() * 32, 0), scratch.assign((size_t)grid * warps_of_cta() * 32 * 8, 0);
  fibers.resize(n);
  for (int i = 0; i < n; i++) {
    Fiber &fiber = fibers[i];
    fiber.cta = i / threads, fiber.thread = i % threads, fiber.state = RUNS, fiber.begun = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = (char *)stacks + i * STACK, fiber.context.uc_stack.ss_size = STACK;
    makecontext(&fiber.context, run_body, 0);
  }
  std::vector<int> order((size_t)grid * warps_of_cta());
  for (size_t i = 0; i < order.size(); i++) order[i] = (int)i;
  for (int idle = 0, left = 1; left || !pending.empty();) {
    bool progress = do_pending();
    for (int i = (int)order.size() - 1; i > 0; i--) std::swap(order[i], order[draw(i + 1)]);
    for (int w : order) {
      int first = w % warps_of_cta() * 32;
      progress |= run_warp(w / warps_of_cta() * threads + first, std::min(32, threads - first));
    }
    for (int cta = 0; cta < grid; cta++) progress |= open_barriers(cta);
    left = 0;
    for (const Fiber &fiber : fibers) left += fiber.state != RETURNED;
    idle = progress ? 0 : idle + 1;
    if (idle < MOST_IDLE_ROUNDS) continue;
    std::fprintf(stderr, "%d of %d threads wait in vain\n", left, n);
    std::abort();
  }
  munmap(stacks, n * STACK);
}
