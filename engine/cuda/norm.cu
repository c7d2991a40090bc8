/* Embedding, RMSNorm, the adapter's logits and SwiGLU: the kernels between the matrix products. Memory moves once, sums
 * are float. */
#include "engine/cuda/tensor_core.cuh"

template <typename T> __global__ void embed_kernel(const T *embed, const int32_t *tokens, int hidden, float *x) {
  wait_for_previous();
  let_next_start();
  int token = tokens[blockIdx.x];
  if (token < 0) token = 0; /* a row that does not run, or an invalid token: its outcome is never used */
  for (int i = threadIdx.x; i < hidden; i += blockDim.x)
    x[(size_t)blockIdx.x * hidden + i] = to_float(embed[(size_t)token * hidden + i]);
}

__device__ __forceinline__ float square_of(const float4 &v) {
  return v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
}

__global__ void embed_next_kernel(const bf16 *embed, const int32_t *tokens, int hidden, float *x, const float *norm,
                                  bf16 *next, float *squares, int n_squares) {
  __shared__ float shared[32];
  wait_for_previous();
  let_next_start();
  int token = max(tokens[blockIdx.x], 0);
  const uint2 *from = reinterpret_cast<const uint2 *>(embed + (size_t)token * hidden);
  float4 *to = reinterpret_cast<float4 *>(x + (size_t)blockIdx.x * hidden);
  uint2 *to_next = reinterpret_cast<uint2 *>(next + (size_t)blockIdx.x * hidden);
  float sum = 0;
  for (int i = threadIdx.x; i < hidden / 4; i += blockDim.x) {
    uint2 four = from[i];
    float4 v = {__uint_as_float(four.x << 16), __uint_as_float(four.x & 0xFFFF0000), __uint_as_float(four.y << 16),
                __uint_as_float(four.y & 0xFFFF0000)};
    float4 w = reinterpret_cast<const float4 *>(norm)[i];
    to[i] = v, to_next[i] = {pack(v.x * w.x, v.y * w.y), pack(v.z * w.z, v.w * w.w)};
    sum += square_of(v);
  }
  sum = block_sum(sum, shared);
  for (int i = threadIdx.x; i < n_squares; i += blockDim.x) squares[blockIdx.x * n_squares + i] = i ? 0 : sum;
}

__device__ __forceinline__ void store_four(float *to, float x, float y, float z, float w) {
  *reinterpret_cast<float4 *>(to) = {x, y, z, w};
}
__device__ __forceinline__ void store_four(bf16 *to, float x, float y, float z, float w) {
  *reinterpret_cast<uint2 *>(to) = make_uint2(pack(x, y), pack(z, w));
}

/* Fours of values that a thread keeps of a row, and of the weight, which it asks for before the row is there. */
enum { kKept = 4, kMostThreads = 1024 };

template <typename T>
__global__ __launch_bounds__(kMostThreads) void rms_norm_kernel(const float *x, const float *weight, float eps,
                                                                int hidden, T *out) {
  __shared__ float shared[32];
  int n = hidden / 4;
  const float4 *row = reinterpret_cast<const float4 *>(x + (size_t)blockIdx.x * hidden),
               *weights = reinterpret_cast<const float4 *>(weight);
  T *to = out + (size_t)blockIdx.x * hidden;
  float4 kept[kKept], kept_weight[kKept];
  float sum = 0;
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    int i = threadIdx.x + j * blockDim.x;
    kept_weight[j] = i < n ? weights[i] : float4{};
  }
  wait_for_previous();
  let_next_start();
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    int i = threadIdx.x + j * blockDim.x;
    kept[j] = i < n ? row[i] : float4{};
  }
#pragma unroll
  for (int j = 0; j < kKept; j++) sum += square_of(kept[j]);
  int behind = threadIdx.x + kKept * blockDim.x; /* in rows of more than kKept * 4 * kMostThreads */
  for (int i = behind; i < n; i += blockDim.x) sum += square_of(row[i]);
  float factor = rsqrtf(block_sum(sum, shared) / hidden + eps);
  auto store = [&](int i, const float4 &v, const float4 &w) {
    store_four(to + 4 * i, v.x * factor * w.x, v.y * factor * w.y, v.z * factor * w.z, v.w * factor * w.w);
  };
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    int i = threadIdx.x + j * blockDim.x;
    if (i < n) store(i, kept[j], kept_weight[j]);
  }
  for (int i = behind; i < n; i += blockDim.x) store(i, row[i], weights[i]);
}

__global__ void adapter_kernel(const float *x, const float *weight, const float *bias, float eps, int hidden, int n,
                               float *out) {
  __shared__ float shared[32];
  wait_for_previous();
  let_next_start();
  const float *row = x + (size_t)blockIdx.x * hidden;
  float sum = 0;
  for (int i = threadIdx.x; i < hidden; i += blockDim.x) sum += row[i] * row[i];
  float factor = rsqrtf(block_sum(sum, shared) / hidden + eps);
  for (int head = threadIdx.x / 32; head < n; head += blockDim.x / 32) {
    float dot = 0;
    for (int i = threadIdx.x % 32; i < hidden; i += 32) dot += row[i] * factor * weight[(size_t)head * hidden + i];
    dot = warp_sum(dot);
    if (threadIdx.x % 32 == 0) out[(size_t)blockIdx.x * n + head] = dot + (bias ? bias[head] : 0);
  }
}

template <typename T> __global__ void swiglu_kernel(const T *gate_up, int inner, T *out) {
  wait_for_previous();
  let_next_start();
  const T *gate = gate_up + (size_t)blockIdx.y * 2 * inner, *up = gate + inner;
  constexpr int kWide = 16 / sizeof(T);
  int i = (blockIdx.x * blockDim.x + threadIdx.x) * kWide;
  if (i >= inner) return;
  alignas(16) T g[kWide], u[kWide], o[kWide];
  *reinterpret_cast<uint4 *>(g) = *reinterpret_cast<const uint4 *>(gate + i);
  *reinterpret_cast<uint4 *>(u) = *reinterpret_cast<const uint4 *>(up + i);
#pragma unroll
  for (int j = 0; j < kWide; j++) {
    float a = to_float(g[j]);
    o[j] = from_float<T>(a / (1.0f + expf(-a)) * to_float(u[j]));
  }
  *reinterpret_cast<uint4 *>(out + (size_t)blockIdx.y * inner + i) = *reinterpret_cast<uint4 *>(o);
}

__global__ void gather_kernel(const float *x, const int32_t *rows_of, int hidden, float *out) {
  for (int i = threadIdx.x; i < hidden; i += blockDim.x)
    out[(size_t)blockIdx.x * hidden + i] = x[(size_t)rows_of[blockIdx.x] * hidden + i];
}

__global__ void rope_table_kernel(const float *frequencies, int half, float2 *table) {
  for (int i = threadIdx.x; i < half; i += blockDim.x) {
    float angle = (float)blockIdx.x * frequencies[i], sine, cosine; /* the float product, as transformers forms it */
    sincosf(angle, &sine, &cosine);
    table[(size_t)blockIdx.x * half + i] = make_float2(cosine, sine);
  }
}

static int threads_of_row(int hidden) {
  return hidden >= 2048 ? 512 : 128;
}

extern "C" cudaError_t dms_cuda_embed(cudaStream_t stream, DmsCudaType type, const void *embed, const int32_t *tokens,
                                      int rows, int hidden, float *x) {
  DISPATCH_TYPE(type, return launch(stream, rows, 256, 0, embed_kernel<T>, (const T *)embed, tokens, hidden, x));
}

extern "C" cudaError_t dms_cuda_embed_next(cudaStream_t stream, const void *embed, const int32_t *tokens, int rows,
                                           int hidden, float *x, const float *norm, void *next, float *squares,
                                           int n_squares) {
  return launch(stream, rows, threads_of_row(hidden), 0, embed_next_kernel, (const bf16 *)embed, tokens, hidden, x,
                norm, (bf16 *)next, squares, n_squares);
}

extern "C" cudaError_t dms_cuda_rms_norm(cudaStream_t stream, DmsCudaType type, const float *x, const float *weight,
                                         float eps, int rows, int hidden, void *out) {
  int fours = hidden / 4, threads = ((fours + kKept - 1) / kKept + 31) / 32 * 32;
  DISPATCH_TYPE(type, return launch(stream, rows, threads < kMostThreads ? threads : (int)kMostThreads, 0,
                                    rms_norm_kernel<T>, x, weight, eps, hidden, (T *)out));
}

extern "C" cudaError_t dms_cuda_adapter(cudaStream_t stream, const float *x, const float *weight, const float *bias,
                                        float eps, int rows, int hidden, int n, float *out) {
  return launch(stream, rows, 256, 0, adapter_kernel, x, weight, bias, eps, hidden, n, out);
}

extern "C" cudaError_t dms_cuda_swiglu(cudaStream_t stream, DmsCudaType type, const void *gate_up, int rows, int inner,
                                       void *out) {
  int wide = type == DMS_CUDA_F32 ? 4 : 8, threads = 128;
  dim3 grid((inner / wide + threads - 1) / threads, rows);
  DISPATCH_TYPE(type, return launch(stream, grid, threads, 0, swiglu_kernel<T>, (const T *)gate_up, inner, (T *)out));
}

extern "C" cudaError_t dms_cuda_gather(cudaStream_t stream, const float *x, const int32_t *rows_of, int n, int hidden,
                                       float *out) {
  gather_kernel<<<n, 256, 0, stream>>>(x, rows_of, hidden, out);
  return cudaGetLastError();
}

extern "C" cudaError_t dms_cuda_rope_table(cudaStream_t stream, const float *frequencies, int positions, int half,
                                           float2 *table) {
  rope_table_kernel<<<positions, 64, 0, stream>>>(frequencies, half, table);
  return cudaGetLastError();
}
