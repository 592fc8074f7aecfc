// The record that Python passes for the two sweeps of the overlap losses (core/overlap/sums.py): sums
// over the positions of each class, and the gradient on the logits from the derivatives by these sums.
#pragma once

#include <cstdint>

// Logits have the shape (n, c, s); strides count elements, absent pointers are 0. R is the computing
// type. Every change needs a new ABI number, and the same change in kernels/overlap.py.
struct Overlap {
  int64_t link;
  int64_t n, c, s;
  int64_t z_n, z_c, z_s;   // strides of logits and gradient
  int64_t dtype, g_dtype;  // of the logits; of the gradient
  const void* logits;
  void* gradient;  // 0 for the sums
  int64_t target_kind, target_dtype;
  const void* target;
  int64_t t_n, t_c, t_s;
  const void* rows;  // R: the coefficient of each position, or of each element (sigmoid)
  int64_t r_n, r_c, r_s;
  int64_t ignores, ignore;  // whether elements with the target `ignore` have no weight (sigmoid)
  int64_t by_sample, squares;
  double* sums;         // (3 or 5, groups, c): of wpy, wp, wy, and wpp, wyy; added to
  const void* factors;  // R (3, groups, c): the loss's derivatives by wpy, wp and wpp
  int64_t threads;
};

static_assert(sizeof(Overlap) == 28 * 8, "the record that Python packs");
