// Passes over a row of scratch memory: the classes of one position, padded to whole vectors.
#pragma once

#include "simd.h"

namespace taylored {

// Stands for a logit that does not exist. It is not -inf, so that a position with a single class
// stays finite.
template <class R> constexpr R taken_out = std::numeric_limits<R>::lowest();

template <class R> TAYLORED_INLINE R peak_of(const R* row, int64_t length) {
  constexpr int lanes = Simd<R>::lanes;
  Vec<R> peak = spread<R>(taken_out<R>), other = peak;  // two chains, which need not wait
  int64_t c = 0;
  for (; c + 2 * lanes <= length; c += 2 * lanes) {
    peak = max<R>(load(row + c), peak);
    other = max<R>(load(row + c + lanes), other);
  }
  if (c < length) peak = max<R>(load(row + c), peak);
  return largest<R>(max<R>(peak, other));
}

// Adds the rows, each times its factor, to `sums`.
template <class R>
TAYLORED_INLINE void add_products(const R* rows, int64_t count, int64_t length, const R* factors,
                                  R* sums) {
  constexpr int64_t lanes = Simd<R>::lanes;
  int64_t c = 0;
  for (; c + 2 * lanes <= length; c += 2 * lanes) {  // sums side by side need not wait
    Vec<R> one = load(sums + c), other = load(sums + c + lanes);
    for (int64_t i = 0; i < count; ++i) {
      const R* from = rows + i * length + c;
      const Vec<R> factor = spread(factors[i]);
      one += load(from) * factor;
      other += load(from + lanes) * factor;
    }
    store<R>(sums + c, one);
    store<R>(sums + c + lanes, other);
  }
  if (c < length) {
    Vec<R> found = load(sums + c);
    for (int64_t i = 0; i < count; ++i) found += load(rows + i * length + c) * factors[i];
    store<R>(sums + c, found);
  }
}

// Finds the peaks of positions side by side, whose classes are `width` apart.
template <class R>
TAYLORED_INLINE void peaks_of(const R* z, int64_t classes, int64_t width, int64_t padded, R* peaks) {
  for (int64_t i = 0; i < padded; i += Simd<R>::lanes) {
    Vec<R> peak = spread<R>(taken_out<R>);
    for (int64_t c = 0; c < classes; ++c) peak = max<R>(load(z + c * width + i), peak);
    store<R>(peaks + i, peak);
  }
}

// Finds where the peak is.
template <class R> TAYLORED_INLINE int64_t index_of_peak(const R* row, int64_t length) {
  constexpr int lanes = Simd<R>::lanes;
  using I = typename Simd<R>::I;
  Vec<R> peak = load(row);
  I block{};  // the vector with the largest number of each lane
  for (int64_t c = lanes; c < length; c += lanes) {
    const Vec<R> z = load(row + c);
    const auto higher = z > peak;
    peak = higher ? z : peak;
    block = higher ? I{} + static_cast<typename Simd<R>::Int>(c) : block;
  }
  int best = 0;
  for (int lane = 1; lane < lanes; ++lane)
    if (peak[lane] > peak[best]) best = lane;
  return block[best] + best;
}

// Calls work(e, c) for the exponentials relative to the peak, a vector at a time, and returns their
// sum.
template <class R, class Work>
TAYLORED_INLINE R exponentials(const R* row, int64_t length, R peak, Work work) {
  constexpr int lanes = Simd<R>::lanes, chains = 4;  // several shorter sums at once
  Vec<R> sums[chains] = {};
  const auto step = [&](int64_t c, Vec<R>& sum) {
    const Vec<R> e = exp<R>(load(row + c) - peak);
    work(e, c);
    sum += e;
  };
  int64_t c = 0;
  for (; c + chains * lanes <= length; c += chains * lanes)
    for (int k = 0; k < chains; ++k) step(c + k * lanes, sums[k]);
  for (; c < length; c += lanes) step(c, sums[0]);
  return sum<R>((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace taylored
