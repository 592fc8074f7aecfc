// The record that Python passes for each call: fields of 8 bytes in native byte order. Every change
// here needs a new ABI number, and the same change in kernels/abi.py, which packs the record.
#pragma once

#include <cstdint>

namespace taylored {

constexpr int abi = 5;

enum Link : int64_t { softmax = 0, sigmoid = 1 };
enum Dtype : int64_t { f32 = 0, f64 = 1, bf16 = 2, f16 = 3, u8 = 4, i64 = 5, i32 = 6 };  // u8: bool
enum TargetKind : int64_t { index = 0, dense = 1 };

}  // namespace taylored

// Logits have the shape (n, c, s). Absent pointers are 0, and strides count elements. R is the
// computing type: double for float64 logits, else float. core/plan/plan.py explains the slots.
struct Sweep {
  int64_t link;
  int64_t n, c, s;
  int64_t z_n, z_c, z_s;   // strides of logits and gradient
  int64_t dtype, g_dtype;  // of the logits; of the gradient, the same or f32 for f16 logits
  const void* logits;
  void* gradient;  // may be the logits themselves (same dtype); 0 for the value alone
  int64_t target_kind, target_dtype;
  const void* target;  // an index outside [0, c) is a row of negatives (sigmoid only)
  int64_t t_n, t_c, t_s;
  const void* rows;  // R: the coefficient of each position or element
  int64_t r_n, r_c, r_s;
  int64_t ignores, ignore;  // whether elements with the target `ignore` have no weight
  const void *positive, *negative, *scale, *bias;  // R[c]
  const void *added, *growth;  // R[n * s]: to the margin of each position, and its truth's pull
  double smoothing, temperature;
  double gamma;        // phi = q^gamma (-log(p) A(q) + B(q))
  const void* gammas;  // R[c], instead of gamma: one per class
  int64_t na;
  const double* a;  // coefficients of A from q^0 up
  int64_t nb;
  const double* b;
  int64_t skipped;  // how many terms of the series of -log(p) are left out: they are in B
  void* each;  // R: the values per position (softmax) or element (sigmoid)
  int64_t e_n, e_c, e_s;
  double* total;  // their sum
  double* sums;   // 2 x c, added to: |gradient| where the class is the truth, then where it is not
  int64_t threads;
};

static_assert(sizeof(Sweep) == 45 * 8, "the record that Python packs");
