// The parts of a sweep that all kernels read in the same way, with their C++ types.
#pragma once

#include <algorithm>

#include "storage.h"
#include "sweep.h"
#include "term.h"
#include "threads.h"
#include "tile_rows.h"

namespace taylored {

template <class R> const R* numbers(const void* from) { return static_cast<const R*>(from); }

template <class R> Input<R> logits_of(const Sweep& sweep) { return {sweep.logits, sweep.dtype}; }
template <class R> Output<R> gradient_of(const Sweep& sweep) {
  return {sweep.gradient, sweep.g_dtype};
}

template <class R> Term<R> term_of(const Sweep& sweep) {
  return {sweep.gamma, numbers<R>(sweep.gammas), sweep.na, sweep.a, sweep.nb, sweep.b,
          sweep.skipped};
}

// Applies bias and temperature to the logits of a softmax, and the temperature to their gradient.
// The largest logit of each position is taken off first: what is added to large logits is rounded
// to their digits.
template <class R> class Adjustment {
 public:
  explicit Adjustment(const Sweep& sweep)
      : bias_(numbers<R>(sweep.bias)), temperature_(static_cast<R>(sweep.temperature)) {}

  // Rows of one position each, with contiguous classes, padded to whole vectors. `largest` has room
  // for a number per row.
  void along_classes(R* z, int64_t rows, int64_t classes, int64_t length, R* largest) const {
    if (!bias_ && temperature_ == R(1)) return;
    for (int64_t i = 0; i < rows; ++i) largest[i] = peak_of(z + i * length, length);
    for (int64_t i = 0; i < rows; ++i) shift(z + i * length, classes, largest[i]);
  }

  // All classes of contiguous positions; the rows of the classes are `width` apart.
  void along_positions(R* z, int64_t classes, int64_t width, int64_t padded, R* largest) const {
    if (!bias_ && temperature_ == R(1)) return;
    peaks_of(z, classes, width, padded, largest);
    for (int64_t c = 0; c < classes; ++c) {
      R* row = z + c * width;
      const R bias = bias_ ? bias_[c] : R(0);
      for (int64_t i = 0; i < padded; ++i) row[i] = (row[i] - largest[i]) + bias;
      divide(row, padded);
    }
  }

  R temperature() const { return temperature_; }

 private:
  void shift(R* z, int64_t classes, R largest) const {
    if (bias_)
      for (int64_t c = 0; c < classes; ++c) z[c] = (z[c] - largest) + bias_[c];
    else
      for (int64_t c = 0; c < classes; ++c) z[c] -= largest;
    divide(z, classes);
  }

  void divide(R* z, int64_t count) const {
    // A division and not a product with the inverse: one more rounding of a large logit changes the
    // margin.
    if (temperature_ != R(1))
      for (int64_t i = 0; i < count; ++i) z[i] /= temperature_;
  }

  const R* bias_;
  R temperature_;
};

inline int64_t round_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

// The scratch memory of a tile should fit into the first-level cache.
constexpr int64_t tile_bytes = 32 * 1024;

// Number of positions per tile, a multiple of `step`, if each takes that many bytes.
inline int64_t tile_width(int64_t bytes_each, int64_t step, int64_t most) {
  const int64_t fitting = tile_bytes / bytes_each / step * step;
  return std::clamp(fitting, step, most);
}

}  // namespace taylored
