// One tile of the sweeps of the overlap losses: the positions of one sample are cut into tiles, in
// which a row is a class.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "overlap.h"
#include "plan.h"

namespace taylored {

// Logits, then probabilities, of all classes; coefficients and truths of the positions.
template <class R> class Tile {
 public:
  using Int = typename Simd<R>::Int;  // the number of a class, as wide as a probability
  static constexpr int64_t lanes = Simd<R>::lanes, most = 512;

  static int64_t width_of(const Overlap& w) { return tile_width(w.c * sizeof(R), lanes, most); }

  static size_t bytes(const Overlap& w) {
    const int64_t width = width_of(w);
    return Scratch::size_of<R>(w.c * width) + 5 * Scratch::size_of<R>(width) +
           Scratch::size_of<Int>(width);
  }

  Tile(const Overlap& overlap, Scratch& scratch)
      : width(width_of(overlap)),
        p(scratch.take<R>(overlap.c * width)),
        weight(scratch.take<R>(width)),
        truth(scratch.take<R>(width)),
        share(scratch.take<R>(width)),
        rest(scratch.take<R>(width)),
        mean(scratch.take<R>(width)),
        index(scratch.take<Int>(width)),
        w_(overlap),
        logits_(overlap.logits, overlap.dtype),
        targets_(overlap.target, overlap.target_dtype),
        rows_(numbers<R>(overlap.rows)) {}

  const int64_t width;
  R* p;        // (c, width); for softmax still to be multiplied by `share`
  R* weight;   // of the positions; of one class where classes have their own
  R* truth;    // of one class, where targets are dense
  R* share;    // 1 over the sum of the exponentials of each position
  R *rest, *mean;
  Int* index;  // the true class of each position, or -1
  int64_t count = 0, padded = 0;

  void begin(int64_t sample, int64_t first, int64_t last) {
    sample_ = sample;
    first_ = first;
    count = last - first;
    padded = round_up(count, lanes);
    if (w_.target_kind == taylored::index) {
      const int64_t* from = static_cast<const int64_t*>(w_.target) + place(w_.t_n, w_.t_s);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t t = from[i * w_.t_s];
        index[i] = t >= 0 && t < w_.c ? static_cast<Int>(t) : Int(-1);
      }
      std::fill(index + count, index + padded, Int(-1));
    }
    if (per_position()) weigh(0);
  }

  // Coefficients of the positions for one class, and its truths.
  void look_at(int64_t c) {
    if (w_.target_kind == taylored::index) {
      if (!per_position()) weigh(c);
      return;
    }
    targets_.fetch(truth, place(w_.t_n, w_.t_s) + c * w_.t_c, w_.t_s, count);
    std::fill(truth + count, truth + padded, R(0));
    if (!per_position()) {
      weigh(c);
      const R ignore = static_cast<R>(w_.ignore);
      for (int64_t i = 0; w_.ignores && i < padded; ++i)
        weight[i] = truth[i] == ignore ? R(0) : weight[i];
    }
    for (int64_t i = 0; i < padded; ++i) truth[i] = weight[i] == R(0) ? R(0) : truth[i];
  }

  // Values of the positions from i on times how true class c is there; `look_at(c)` comes first.
  template <bool hard> TAYLORED_INLINE Vec<R> of_truth(Vec<R> values, int64_t i, int64_t c) const {
    if constexpr (hard) {
      typename Simd<R>::I own;
      std::memcpy(&own, index + i, sizeof own);
      return own == static_cast<Int>(c) ? values : Vec<R>{};
    } else {
      return values * load(truth + i);
    }
  }

  // Exponentials of all classes, and the factor that makes them probabilities.
  void softmax() {
    for (int64_t c = 0; c < w_.c; ++c) fetch(c);
    for (int64_t i = 0; i < padded; i += lanes) {
      Vec<R> peak = spread<R>(taken_out<R>);
      for (int64_t c = 0; c < w_.c; ++c) peak = max<R>(load(p + c * width + i), peak);
      LongSum<R> mass;
      for (int64_t c = 0; c < w_.c; ++c) {
        const Vec<R> e = exp<R>(load(p + c * width + i) - peak);
        store<R>(p + c * width + i, e);
        mass.add(e);
        logits_.soon(offset(c) + (width + i) * w_.z_s);
      }
      store<R>(share + i, R(1) / mass.value());
    }
  }

  // Probabilities of one class in its row, and 1 - p, with all its digits, in `rest`.
  void sigmoid(int64_t c) {
    fetch(c);
    R* row = p + c * width;
    for (int64_t i = 0; i < padded; i += lanes) {
      const Vec<R> x = load(row + i), e = exp<R>(-abs<R>(x)), share = R(1) / (R(1) + e);
      const Vec<R> small = e * share;
      store<R>(row + i, x < R(0) ? small : share);
      store<R>(rest + i, x < R(0) ? share : small);
      logits_.soon(offset(c) + (width + i) * w_.z_s);
    }
  }

  int64_t group() const { return w_.by_sample ? sample_ : 0; }

  int64_t offset(int64_t c) const { return place(w_.z_n, w_.z_s) + c * w_.z_c; }

 private:
  int64_t place(int64_t by_sample, int64_t by_position) const {
    return sample_ * by_sample + first_ * by_position;
  }

  bool per_position() const { return w_.r_c == 0 && !w_.ignores; }

  void weigh(int64_t c) {
    const R* from = rows_ + place(w_.r_n, w_.r_s) + c * w_.r_c;
    for (int64_t i = 0; i < count; ++i) weight[i] = from[i * w_.r_s];
    std::fill(weight + count, weight + padded, R(0));
    int64_t idle = 0;
    for (int64_t i = 0; i < count; ++i) idle += weight[i] == R(0);
    idle_ = w_.ignores || idle != 0;
  }

  // The logits of one class; 0 where they count for nothing, because 0 times NaN would be NaN.
  void fetch(int64_t c) {
    R* row = p + c * width;
    logits_.fetch(row, offset(c), w_.z_s, count);
    std::fill(row + count, row + padded, R(0));
    if (idle_)
      for (int64_t i = 0; i < count; ++i) row[i] = weight[i] == R(0) ? R(0) : row[i];
  }

  const Overlap& w_;
  const Input<R> logits_, targets_;
  const R* rows_;
  int64_t sample_ = 0, first_ = 0;
  bool idle_ = false;  // whether a position may count for nothing
};

}  // namespace taylored
