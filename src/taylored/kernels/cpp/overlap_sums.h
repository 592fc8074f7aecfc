// The first sweep of the overlap losses: sums over the positions of each class.
#pragma once

#include "overlap_tile.h"

namespace taylored {

template <class R> class Summing {
 public:
  Summing(const Overlap& overlap, double* sums)
      : w_(overlap), sums_(sums), apart_((overlap.by_sample ? overlap.n : 1) * overlap.c) {}

  void operator()(Tile<R>& at) const {
    if (w_.link == Link::softmax) at.softmax();
    (w_.target_kind == taylored::index ? &Summing::add<true> : &Summing::add<false>)(*this, at);
  }

 private:
  template <bool hard> static void add(const Summing& self, Tile<R>& at) {
    self.w_.link == Link::softmax ? self.add_rows<hard, true>(at) : self.add_rows<hard, false>(at);
  }

  // Added up in R within the tile, and then in double over the tiles.
  template <bool hard, bool soft> TAYLORED_APART void add_rows(Tile<R>& at) const {
    const bool squares = w_.squares;
    double* sums = sums_ + at.group() * w_.c;
    for (int64_t c = 0; c < w_.c; ++c) {
      at.look_at(c);
      if (!soft) at.sigmoid(c);
      const R* p = at.p + c * at.width;
      Vec<R> both{}, predicted{}, true_{}, predicted_squares{}, true_squares{};
      for (int64_t i = 0; i < at.padded; i += Simd<R>::lanes) {
        const Vec<R> w = load(at.weight + i);
        const Vec<R> chance = soft ? load(p + i) * load(at.share + i) : load(p + i);
        const Vec<R> weighed = w * chance, truth = at.template of_truth<hard>(w, i, c);
        predicted += weighed;
        both += at.template of_truth<hard>(weighed, i, c);
        true_ += truth;
        if (squares) {
          predicted_squares += weighed * chance;
          true_squares += at.template of_truth<hard>(truth, i, c);
        }
      }
      put(sums + c, both);
      put(sums + c + apart_, predicted);
      put(sums + c + 2 * apart_, true_);
      if (!squares) continue;
      put(sums + c + 3 * apart_, predicted_squares);
      put(sums + c + 4 * apart_, true_squares);
    }
  }

  static TAYLORED_INLINE void put(double* to, Vec<R> lanes) {
    *to += static_cast<double>(sum<R>(lanes));
  }

  const Overlap& w_;
  double* sums_;
  const int64_t apart_;
};

}  // namespace taylored
