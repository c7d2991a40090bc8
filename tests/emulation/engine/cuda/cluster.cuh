/* What engine/cuda/cluster.cuh names, as far as the emulated kernels use it, emulated. */
#pragma once

inline int cluster_rank() {
  return emulated_rank();
}
inline void cluster_arrive_relaxed() {}
inline void cluster_wait() {
  emulated_cluster_barrier();
}
/* Addresses of 32 bits are the cluster's: a CTA's own are among them. */
inline uint32_t address_at(const void *mine, int rank) {
  uint32_t address = emulated_address(mine) % EMULATED_CTA_BYTES + rank * EMULATED_CTA_BYTES;
  emulated_place(address, 0);
  return address;
}
