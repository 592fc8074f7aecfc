// The one true class of every position of a softmax tile.
#pragma once

#include "positions.h"

namespace taylored {

// The truth of each position of a tile, and the loss from its margin.
template <class R> class Truths {
 public:
  Truths(const Sweep& sweep, const Term<R>& term, int64_t width, Scratch& scratch)
      : index(scratch.take<int64_t>(width)),
        indices_(static_cast<const int64_t*>(sweep.target)),
        term_(term),
        added_(numbers<R>(sweep.added)),
        growth_(numbers<R>(sweep.growth)),
        places_(scratch.take<int64_t>(width)),
        gamma_(scratch.take<R>(width)),
        own_(scratch.take<R>(width)) {
    std::fill_n(gamma_, width, term.gamma());
  }

  static size_t bytes(int64_t width) {
    return 2 * Scratch::size_of<int64_t>(width) + 2 * Scratch::size_of<R>(width);
  }

  void gather(const Positions<R>& at) {
    for (int64_t i = 0; i < at.count; ++i) index[i] = indices_[at.target[i]];
    if (term_.gammas())
      for (int64_t i = 0; i < at.count; ++i) gamma_[i] = term_.gammas()[index[i]];
  }

  // What the margin of each position, [first, first + count) of the walk, is larger by.
  void add_to(Positions<R>& at, int64_t first) const {
    for (int64_t i = 0; added_ && i < at.count; ++i) at.chosen[i] += added_[first + i];
  }

  // The pull on the true logit of each position, before scale and temperature.
  const R* own_pulls(const Positions<R>& at, int64_t first) const {
    if (!growth_) return at.pull;
    for (int64_t i = 0; i < at.count; ++i) own_[i] = at.pull[i] * growth_[first + i];
    return own_;
  }

  // The same by the logits as they are given.
  const R* scaled(const R* pulls, const Positions<R>& at, const Adjustment<R>& adjustment) const {
    if (!adjustment.scales()) return pulls;
    for (int64_t i = 0; i < at.count; ++i) own_[i] = pulls[i] * adjustment.scale(index[i]);
    return own_;
  }

  // Finds values and pulls.
  void settle(Positions<R>& at, Total<R>& total) const {
    term_.with_power([&](auto power) { total.add(settle_by(power, at)); });
  }

  // Offsets of the true logits.
  const int64_t* places(const Positions<R>& at, int64_t class_stride) const {
    for (int64_t i = 0; i < at.count; ++i) places_[i] = at.logits[i] + index[i] * class_stride;
    return places_;
  }

  int64_t* index;

 private:
  template <class Power> TAYLORED_APART Total<R> settle_by(Power power, Positions<R>& at) const {
    Total<R> total;
    for (int64_t i = 0; i < at.padded; i += Simd<R>::lanes) {
      const auto [value, slope] =
          term_.outcome(power, at_margin<R>(at.margin(i)), load(gamma_ + i));
      const Vec<R> coefficient = load(at.coefficient + i);
      store<R>(at.value + i, coefficient * value);
      store<R>(at.pull + i, coefficient * slope);
      total.add(coefficient * value);
    }
    return total;
  }

  const int64_t* indices_;
  const Term<R>& term_;
  const R *added_, *growth_;
  int64_t* places_;
  R *gamma_, *own_;
};

}  // namespace taylored
