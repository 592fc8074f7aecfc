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

// Applies scale, bias and temperature to the logits of a softmax, and scale and temperature to their
// gradient. The largest logit of each position is taken off before scale and bias: what multiplies
// large logits, or is added to them, is rounded to their digits.
template <class R> class Adjustment {
 public:
  explicit Adjustment(const Sweep& sweep)
      : scale_(numbers<R>(sweep.scale)),
        bias_(numbers<R>(sweep.bias)),
        temperature_(static_cast<R>(sweep.temperature)) {
    if (scale_) largest_scale_ = *std::max_element(scale_, scale_ + sweep.c);
  }

  // Rows of one position each, with contiguous classes, padded to whole vectors. `largest` has room
  // for a number per row.
  void along_classes(R* z, int64_t rows, int64_t classes, int64_t length, R* largest) const {
    for (int64_t i = 0; scale_ && i < rows; ++i) {
      R* row = z + i * length;
      const R peak = peak_of(row, length);
      for (int64_t c = 0; c < classes; ++c) row[c] = scaled(row[c], c, peak);
    }
    if (!bias_ && temperature_ == R(1)) return;
    for (int64_t i = 0; i < rows; ++i) largest[i] = peak_of(z + i * length, length);
    for (int64_t i = 0; i < rows; ++i) shift(z + i * length, classes, largest[i]);
  }

  // Whether a row is only moved: nothing multiplies its logits.
  bool only_moves() const { return !scale_ && (bias_ || temperature_ != R(1)); }

  // The biases, and zeros up to whole vectors.
  void pad_bias(R* to, int64_t classes, int64_t length) const {
    std::fill(to, to + length, R(0));
    if (bias_) std::copy(bias_, bias_ + classes, to);
  }

  // One logit of a position whose largest is known.
  TAYLORED_INLINE R moved(R z, int64_t c, R largest) const {
    const R found = bias_ ? (z - largest) + bias_[c] : z - largest;
    return temperature_ == R(1) ? found : found / temperature_;
  }

  // Moves the logits of a position, whole vectors of which are at `from` and the rest in the padded
  // row already, into the row. Returns the largest then of all but the truth.
  TAYLORED_INLINE R move(R* row, const R* from, int64_t classes, const R* bias, R largest,
                         int64_t truth) const {
    constexpr int64_t lanes = Simd<R>::lanes;
    const int64_t whole = classes / lanes * lanes;
    const R temperature = temperature_;
    Vec<R> peak = spread<R>(taken_out<R>);
    const auto each = [&](auto divided) {
      const auto one = [&](const R* at, int64_t c) {
        const Vec<R> z = divided((load(at) - largest) + load(bias + c));
        store<R>(row + c, z);
        const auto here = Simd<R>::numbered() == static_cast<typename Simd<R>::Int>(truth - c);
        peak = max<R>(here ? spread<R>(taken_out<R>) : z, peak);
      };
      for (int64_t c = 0; c < whole; c += lanes) one(from + c, c);
      if (whole < classes) one(row + whole, whole);
    };
    if (temperature == R(1))
      each([](Vec<R> z) { return z; });
    else
      each([=](Vec<R> z) { return z / temperature; });
    return taylored::largest<R>(peak);
  }

  // All classes of contiguous positions; the rows of the classes are `width` apart.
  void along_positions(R* z, int64_t classes, int64_t width, int64_t padded, R* largest) const {
    if (scale_) {
      peaks_of(z, classes, width, padded, largest);
      for (int64_t c = 0; c < classes; ++c) {
        R* row = z + c * width;
        for (int64_t i = 0; i < padded; ++i) row[i] = scaled(row[i], c, largest[i]);
      }
    }
    if (!bias_ && temperature_ == R(1)) return;
    peaks_of(z, classes, width, padded, largest);
    for (int64_t c = 0; c < classes; ++c) {
      R* row = z + c * width;
      const R bias = bias_ ? bias_[c] : R(0);
      for (int64_t i = 0; i < padded; ++i) row[i] = (row[i] - largest[i]) + bias;
      divide(row, padded);
    }
  }

  // Brings a row of the gradient by the adjusted logits to that by the logits, but for the
  // temperature.
  void scale_along_classes(R* row, int64_t classes) const {
    for (int64_t c = 0; scale_ && c < classes; ++c) row[c] *= scale_[c];
  }

  void scale_along_positions(R* z, int64_t classes, int64_t width, int64_t padded) const {
    for (int64_t c = 0; scale_ && c < classes; ++c)
      for (int64_t i = 0; i < padded; ++i) z[c * width + i] *= scale_[c];
  }

  bool scales() const { return scale_ != nullptr; }
  R scale(int64_t c) const { return scale_ ? scale_[c] : R(1); }
  R temperature() const { return temperature_; }

 private:
  // z times its factor, but for what all classes have in common (core/numerics.py).
  TAYLORED_INLINE R scaled(R z, int64_t c, R peak) const {
    return (z - peak) * scale_[c] + (scale_[c] - largest_scale_) * peak;
  }

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

  const R *scale_, *bias_;
  R temperature_, largest_scale_ = 1;
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
