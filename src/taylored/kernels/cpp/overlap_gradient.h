// The second sweep of the overlap losses: the gradient on the logits, from the derivatives of the
// loss by the sums of the first.
//
// dL/dp of an element is w (a y + b + 2 c p). Probabilities are computed anew: to keep them would
// take as much memory as the logits, and to write and read them longer than their exponentials.
#pragma once

#include "overlap_tile.h"

namespace taylored {

template <class R> class Differentiating {
 public:
  static constexpr int64_t lanes = Simd<R>::lanes;

  explicit Differentiating(const Overlap& overlap)
      : w_(overlap),
        factors_(numbers<R>(overlap.factors)),
        apart_((overlap.by_sample ? overlap.n : 1) * overlap.c),
        gradient_(overlap.gradient, overlap.g_dtype) {}

  void operator()(Tile<R>& at) const {
    const R* both = factors_ + at.group() * w_.c;
    const R *predicted = both + apart_, *squares = predicted + apart_;
    const bool hard = w_.target_kind == taylored::index;
    if (w_.link == Link::sigmoid)
      (hard ? &Differentiating::sigmoid<true> : &Differentiating::sigmoid<false>)(
          *this, at, both, predicted, squares);
    else if (hard)
      softmax_hard(at, both, predicted, squares);
    else
      softmax_dense(at, both, predicted, squares);
  }

 private:
  TAYLORED_APART void softmax_hard(Tile<R>& at, const R* both, const R* predicted,
                                   const R* squares) const {
    const bool squared = w_.squares;
    at.softmax();
    for (int64_t i = 0; i < at.padded; i += lanes) {
      const Vec<R> share = load(at.share + i), weight = load(at.weight + i) * share;
      R* p = at.p + i;
      const auto slope = [&](int64_t c, Vec<R> e) {
        const Vec<R> of_prediction =
            squared ? predicted[c] + 2 * squares[c] * (e * share) : spread<R>(predicted[c]);
        return of_prediction + at.template of_truth<true>(spread<R>(both[c]), i, c);
      };
      Vec<R> mean{};
      for (int64_t c = 0; c < w_.c; ++c) {
        const Vec<R> e = load(p + c * at.width);
        mean += slope(c, e) * e;
      }
      mean *= share;
      for (int64_t c = 0; c < w_.c; ++c) {
        const Vec<R> e = load(p + c * at.width);
        store<R>(p + c * at.width, (slope(c, e) - mean) * e * weight);
        gradient_.soon(at.offset(c) + i * w_.z_s);
      }
    }
    for (int64_t c = 0; c < w_.c; ++c) put(at, c);
  }

  // The truths of one class are in the tile at a time.
  TAYLORED_APART void softmax_dense(Tile<R>& at, const R* both, const R* predicted,
                                    const R* squares) const {
    at.softmax();
    std::fill(at.mean, at.mean + at.padded, R(0));
    for (const bool last : {false, true})
      for (int64_t c = 0; c < w_.c; ++c) {
        R* p = at.p + c * at.width;
        at.look_at(c);
        for (int64_t i = 0; i < at.padded; i += lanes) {
          const Vec<R> chance = load(p + i) * load(at.share + i);
          const Vec<R> slope =
              predicted[c] + 2 * squares[c] * chance + both[c] * load(at.truth + i);
          const Vec<R> mean = load(at.mean + i);
          if (last)
            store<R>(p + i, (slope - mean) * chance * load(at.weight + i));
          else
            store<R>(at.mean + i, mean + slope * chance);
        }
        if (last) put(at, c);
      }
  }

  template <bool hard>
  TAYLORED_APART static void sigmoid(const Differentiating& self, Tile<R>& at, const R* both,
                                     const R* predicted, const R* squares) {
    for (int64_t c = 0; c < self.w_.c; ++c) {
      R* p = at.p + c * at.width;
      const Vec<R> a = spread<R>(both[c]);
      const R b = predicted[c], d = 2 * squares[c];
      at.look_at(c);
      at.sigmoid(c);
      for (int64_t i = 0; i < at.padded; i += lanes) {
        const Vec<R> slope = b + d * load(p + i) + at.template of_truth<hard>(a, i, c);
        store<R>(p + i, slope * load(p + i) * load(at.rest + i) * load(at.weight + i));
      }
      self.put(at, c);
    }
  }

  void put(const Tile<R>& at, int64_t c) const {
    gradient_.put(at.offset(c), w_.z_s, at.count, at.p + c * at.width, R(1));
  }

  const Overlap& w_;
  const R* factors_;
  const int64_t apart_;
  const Output<R> gradient_;
};

}  // namespace taylored
