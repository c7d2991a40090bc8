/* Matrix products of up to 8 rows: the weights are read once, as fast as memory gives them, and nothing else should
 * show.
 *
 * A CTA takes 16 outputs (32 where gate meets up), its warps the depth in turns of 128. The weights are the 16-row
 * operand of mma.m16n8k16, the rows of x its 8 columns. Which k a lane holds is free as long as both operands agree:
 * lane j of a row takes 8 neighbours, so that every load is 16 bytes, straight from memory to registers. The first
 * loads are queued before the kernel waits for the one that makes x.
 *
 * RMSNorm has no kernel of its own here: who adds to the residual stream also leaves it times the next norm's weight,
 * and the sums of its squares by 16; who reads that multiplies its results by 1 / rms. */
#include "engine/cuda/element.cuh"
#include "engine/cuda/tensor_core.cuh"

enum { kRows = DMS_CUDA_SQUARES, kTurn = 128, kBlocks = kTurn / 32 };
template <int kTiles> constexpr int kMostWarps = kTiles == 1 ? 8 : 4; /* two tiles take twice the registers */

/* A turn's weights of one tile: for each block of 32 k, a lane's 8 neighbours of row lane / 4 and of row lane / 4 + 8.
 */
struct Turn {
  uint4 low[kBlocks], high[kBlocks];

  __device__ __forceinline__ void load(const bf16 *row, int k) {
#pragma unroll
    for (int b = 0; b < kBlocks; b++) {
      low[b] = __ldcs(reinterpret_cast<const uint4 *>(row + 32 * b));
      high[b] = __ldcs(reinterpret_cast<const uint4 *>(row + (size_t)8 * k + 32 * b));
    }
  }
  __device__ __forceinline__ void multiply_block(int b, const uint4 &x, float *sum) const {
    uint32_t first[4] = {low[b].x, high[b].x, low[b].y, high[b].y}, first_x[2] = {x.x, x.y};
    uint32_t second[4] = {low[b].z, high[b].z, low[b].w, high[b].w}, second_x[2] = {x.z, x.w};
    multiply(sum, first, first_x);
    multiply(sum, second, second_x);
  }
};

/* A lane's 8 neighbours of row `row` of x. */
__device__ __forceinline__ uint4 load_x(const DmsCudaGemv &g, int row, int k) {
  if (row >= g.rows) return uint4{};
  return *reinterpret_cast<const uint4 *>((const bf16 *)g.x + (size_t)row * g.k + k);
}

/* Output n of a row. 16 neighbouring threads hold 16 neighbouring outputs of one row, for the sum of their squares. */
__device__ __forceinline__ void store(const DmsCudaGemv &g, int row, int n, float value, float other) {
  size_t at = (size_t)row * g.n + n;
  switch (g.end) {
  case DMS_CUDA_GEMV_SWIGLU:
    ((bf16 *)g.out)[(size_t)row * (g.n / 2) + n] = __float2bfloat16(value / (1.0f + __expf(-value)) * other);
    return;
  case DMS_CUDA_GEMV_LOGITS:
    ((float *)g.out)[at] = value;
    return;
  case DMS_CUDA_GEMV_STORE:
    ((bf16 *)g.out)[at] = __float2bfloat16(value + (g.bias ? __bfloat162float(((const bf16 *)g.bias)[n]) : 0));
    return;
  case DMS_CUDA_GEMV_ADD:
    break;
  }
  float sum = ((float *)g.out)[at] + value + (g.bias ? ((const float *)g.bias)[n] : 0), square = sum * sum;
  ((float *)g.out)[at] = sum;
  ((bf16 *)g.next)[at] = __float2bfloat16(sum * g.next_norm[n]);
  unsigned half = 0xFFFFu << (threadIdx.x & 16);
  for (int offset = 8; offset; offset >>= 1) square += __shfl_xor_sync(half, square, offset);
  if (n % kRows == 0) g.next_squares[(size_t)row * (g.n / kRows) + n / kRows] = square;
}

/* What the rows' normalisation still lacks: 1 / rms, from the sums of squares that the kernel before left. 16 threads a
 * row. */
__device__ __forceinline__ void find_factors(const DmsCudaGemv &g, float *factor) {
  int row = threadIdx.x / 16;
  if (row >= DMS_CUDA_GEMV_ROWS) return;
  float sum = 0;
  if (g.squares && row < g.rows)
#pragma unroll 4
    for (int i = threadIdx.x % 16 * 4; i < g.n_squares; i += 16 * 4) {
      float4 part = *reinterpret_cast<const float4 *>(g.squares + (size_t)row * g.n_squares + i);
      sum += part.x + part.y + part.z + part.w;
    }
  for (int offset = 8; offset; offset >>= 1) sum += __shfl_xor_sync(~0u, sum, offset);
  if (threadIdx.x % 16 == 0) factor[row] = g.squares ? rsqrtf(sum / g.k + g.eps) : 1;
}

/* kTiles 2: the outputs n and n + g.n / 2, gate and up. */
template <int kTiles> __global__ __launch_bounds__(kMostWarps<kTiles> * 32) void gemv_kernel(DmsCudaGemv g) {
  __shared__ float sums[kMostWarps<kTiles>][kTiles][kRows][DMS_CUDA_GEMV_ROWS + 1], factor[DMS_CUDA_GEMV_ROWS];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32, turns = g.k / kTurn;
  const bf16 *weight = (const bf16 *)g.weight + (size_t)(blockIdx.x * kRows + lane / 4) * g.k + lane % 4 * 8;
  size_t second = (size_t)(g.n / 2) * g.k;
  Turn turn[kTiles], next[kTiles];
  float sum[kTiles][4] = {};
  if (warp < turns)
#pragma unroll
    for (int t = 0; t < kTiles; t++) turn[t].load(weight + t * second + (size_t)warp * kTurn, g.k);
  wait_for_previous();
  find_factors(g, factor); /* while the first weights are on their way */
  for (int i = warp; i < turns; i += warps) {
    if (i + warps < turns)
#pragma unroll
      for (int t = 0; t < kTiles; t++) next[t].load(weight + t * second + (size_t)(i + warps) * kTurn, g.k);
    uint4 x[kBlocks];
#pragma unroll
    for (int b = 0; b < kBlocks; b++) x[b] = load_x(g, lane / 4, i * kTurn + 32 * b + lane % 4 * 8);
#pragma unroll
    for (int b = 0; b < kBlocks; b++)
#pragma unroll
      for (int t = 0; t < kTiles; t++) turn[t].multiply_block(b, x[b], sum[t]);
#pragma unroll
    for (int t = 0; t < kTiles; t++) turn[t] = next[t];
  }
#pragma unroll
  for (int t = 0; t < kTiles; t++)
    for (int c = 0; c < 4; c++) sums[warp][t][lane / 4 + (c & 2) * 4][lane % 4 * 2 + (c & 1)] = sum[t][c];
  let_next_start(); /* not before: the next kernel's blocks would take the place of this one's */
  __syncthreads();
  for (int i = threadIdx.x; i < kRows * g.rows; i += blockDim.x) {
    int n = i % kRows, row = i / kRows;
    float value[2] = {};
    for (int w = 0; w < warps; w++)
#pragma unroll
      for (int t = 0; t < kTiles; t++) value[t] += sums[w][t][n][row];
    store(g, row, blockIdx.x * kRows + n, value[0] * factor[row], value[1] * factor[row]);
  }
}

extern "C" int dms_cuda_gemv_takes(int rows, int n, int k) {
  return rows <= DMS_CUDA_GEMV_ROWS && n % (4 * kRows) == 0 && k % kTurn == 0;
}

extern "C" cudaError_t dms_cuda_gemv(cudaStream_t stream, const DmsCudaGemv *gemv) {
  bool pair = gemv->end == DMS_CUDA_GEMV_SWIGLU;
  /* Deep products have turns for more warps; of shallow ones more of the weights are asked for before the wait. */
  int turns = gemv->k / kTurn, warps = !pair && (turns >= 64 || turns <= 16) ? 8 : 4;
  int threads = 32 * warps, grid = gemv->n / kRows / (pair ? 2 : 1);
  if (pair) return launch(stream, grid, threads, 0, gemv_kernel<2>, *gemv);
  return launch(stream, grid, threads, 0, gemv_kernel<1>, *gemv);
}
