/* The shared memory of the emulated CTAs, and the barriers in it. */
#include "tests/emulation/emulation.h"

#include <vector>

namespace {

/* An mbarrier: arrivals still to come in this phase, all of a phase, the phase's parity, bytes still to come. */
struct Barrier {
  uint64_t missing : 10, arrivals : 10, parity : 1, initialised : 19, bytes : 24;
};
static_assert(sizeof(Barrier) == sizeof(uint64_t), "in the place of one");
constexpr unsigned INITIALISED = 0x5A3C7;
constexpr int MOST_BYTES = (1 << 20) - 1;

constexpr size_t ALIGNMENT = 1024;
std::vector<char> memory;
size_t bytes_of_cta;
int ctas, ranks_of_cluster;

char *memory_of(int cta) {
  uintptr_t begin = ((uintptr_t)memory.data() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return (char *)begin + (size_t)cta * EMULATED_CTA_BYTES;
}
char *memory_of_cluster() {
  return memory_of(blockIdx.x / ranks_of_cluster * ranks_of_cluster);
}

Barrier &at(const uint64_t *barrier) {
  emulated_check(barrier, sizeof *barrier);
  Barrier &b = *reinterpret_cast<Barrier *>(const_cast<uint64_t *>(barrier));
  if (b.initialised != INITIALISED) emulated_fail("used an mbarrier that is not initialised");
  return b;
}
/* Only a barrier of the CTA itself can be waited for. */
Barrier &own(const uint64_t *barrier) {
  if (emulated_address(barrier) / EMULATED_CTA_BYTES != (unsigned)emulated_rank())
    emulated_fail("waited for the mbarrier of another CTA");
  return at(barrier);
}

} // namespace

void emulated_shared_begin(int grid, int ranks, size_t bytes) {
  ctas = grid, ranks_of_cluster = ranks, bytes_of_cta = EMULATED_STATIC_BYTES + bytes;
  if (bytes_of_cta > EMULATED_CTA_BYTES) emulated_fail("more shared memory than there is");
  memory.resize((size_t)grid * EMULATED_CTA_BYTES + ALIGNMENT);
  for (int cta = 0; cta < grid; cta++)
    for (size_t i = 0; i + 4 <= bytes_of_cta; i += 4) {
      uint32_t noise = emulated_random();
      std::memcpy(memory_of(cta) + i, &noise, sizeof noise);
    }
}

char *emulated_shared() {
  return memory_of(blockIdx.x);
}
int emulated_rank() {
  return blockIdx.x % ranks_of_cluster;
}
void emulated_check(const void *place, size_t bytes) {
  size_t offset = (const char *)place - memory_of(0), cta = offset / EMULATED_CTA_BYTES;
  if ((const char *)place < memory_of(0) || cta >= (size_t)ctas || offset % EMULATED_CTA_BYTES + bytes > bytes_of_cta)
    emulated_fail("a place outside shared memory");
  if (emulated_exited((int)cta)) emulated_fail("the shared memory of a CTA that has exited");
}
void emulated_spoil(void *place, size_t bytes) {
  emulated_check(place, bytes);
  std::memset(place, 0xFF, bytes);
}
uint32_t emulated_address(const void *place) {
  emulated_check(place, 0);
  return (uint32_t)((const char *)place - memory_of_cluster());
}
char *emulated_place(uint32_t address, size_t bytes) {
  if (address / EMULATED_CTA_BYTES >= (unsigned)ranks_of_cluster) emulated_fail("a place outside the cluster");
  emulated_check(memory_of_cluster() + address, bytes);
  return memory_of_cluster() + address;
}

void emulated_mbarrier_init(uint64_t *barrier, int arrivals) {
  emulated_check(barrier, sizeof *barrier);
  Barrier b = {(unsigned)arrivals, (unsigned)arrivals, 0, INITIALISED, 0};
  std::memcpy(barrier, &b, sizeof b);
}
void emulated_mbarrier_count(uint64_t *barrier, int arrivals, int bytes) {
  Barrier &b = at(barrier);
  int to_come = ((int)b.bytes ^ 1 << 23) - (1 << 23) + bytes; /* negative while more has come than was expected */
  if (arrivals > (int)b.missing) emulated_fail("more arrivals at an mbarrier than its phase waits for");
  if (std::abs(to_come) > MOST_BYTES) emulated_fail("more bytes at an mbarrier than it can count");
  b.missing -= arrivals, b.bytes = (unsigned)to_come;
  if (!b.missing && !to_come) b.missing = b.arrivals, b.parity ^= 1;
}
bool emulated_mbarrier_done(const uint64_t *barrier, uint32_t parity) {
  return reinterpret_cast<const Barrier *>(barrier)->parity != parity;
}
void emulated_mbarrier_wait(const uint64_t *barrier, uint32_t parity) {
  if (own(barrier).parity == parity) emulated_mbarrier_await(barrier, parity);
}
