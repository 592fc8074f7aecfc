// Positions whose truth is a distribution over the classes.
//
// The loss is the sum of phi(p_j) times the mass of class j. Only the top class k can have p > 1/2,
// and only it needs the margin against the others; for those 1 - p is exact. Let r be the softmax
// over the others, g_j = mass_j h_j / q_j the gains, G their sum over the others, and pull =
// mass_k h_k that of the top. Then the derivatives are
//
//     dL/dz_j = r_j (q_k G + pull) - g_j        dL/dz_k = p_k G - pull
#pragma once

#include "positions.h"

namespace taylored {

// What the classes other than the top contribute, one vector at a time.
template <class R> struct Rivals { Vec<R> share, gain, value; };

// The top class of each position of a tile, and where it is among the numbers of the position.
template <class R> class Tops {
 public:
  Tops(int64_t width, Scratch& scratch)
      : index(scratch.take<int64_t>(width)),
        mass(scratch.take<R>(width)),
        gamma(scratch.take<R>(width)),
        p(scratch.take<R>(width)),
        q(scratch.take<R>(width)),
        log_q(scratch.take<R>(width)),
        log_sum(scratch.take<R>(width)),
        gains(scratch.take<R>(width)),
        values(scratch.take<R>(width)) {}

  static size_t bytes(int64_t width) {
    return Scratch::size_of<int64_t>(width) + 8 * Scratch::size_of<R>(width);
  }

  // The cross-entropy of the others, given their `Entropies` times the coefficient.
  R entropy(int64_t i) const { return values[i] + gains[i] * (log_sum[i] - log_q[i]); }

  // Value and pull of the top class, and what the other classes need to know of it.
  void settle(const Term<R>& term, Positions<R>& at) const {
    for (int64_t i = at.count; i < at.padded; ++i) mass[i] = gamma[i] = R(0);
    term.with_power([&](auto power) {
      for (int64_t i = 0; i < at.padded; i += Simd<R>::lanes) {
        const Point<R> top = at_margin<R>(at.margin(i));
        const auto [value, slope] = term.outcome(power, top, load(gamma + i));
        const Vec<R> coefficient = load(at.coefficient + i) * load(mass + i);
        store<R>(at.value + i, coefficient * value);
        store<R>(at.pull + i, coefficient * slope);
        store<R>(p + i, top.p);
        store<R>(q + i, top.q);
        // Without other classes: far enough down, but finite, because it is multiplied by 0.
        store<R>(log_q + i, max<R>(top.log_q, spread<R>(R(-1e30))));
        store<R>(log_sum + i, log<R>(load(at.mass + i)));
      }
    });
  }

  int64_t* index;
  R *mass, *gamma;             // of the top class: of its truth (weighted), and its exponent
  R *p, *q, *log_q, *log_sum;  // its probabilities; log-sum-exp of the others, from their peak
  R *gains, *values;           // sums over the others
};

// The other classes, from their logits; `mass` is their weighted target mass.
template <class R, class Power>
TAYLORED_INLINE Rivals<R> rivals(const Term<R>& term, Power power, Vec<R> z, Vec<R> mass,
                                 Vec<R> gamma, Vec<R> peak, Vec<R> log_sum, Vec<R> q_top,
                                 Vec<R> log_q_top) {
  const Vec<R> log_share = (z - peak) - log_sum;
  const Vec<R> share = exp<R>(log_share);
  const Vec<R> p = share * q_top, q = R(1) - p;
  const auto [value, slope] =
      term.outcome(power, Point<R>{p, q, -(log_share + log_q_top), log<R>(q)}, gamma);
  // The value of a class with a logit of -inf is infinite, and costs nothing without mass.
  return {share, mass * slope / q, mass == R(0) ? Vec<R>{} : mass * value};
}

// Cross-entropy has no use for the probabilities of the others in its values: with a mass m_j on
// class j,
//
//     sum of m_j (-log p_j) = sum of m_j (peak - z_j) + (sum of m_j) (log_sum - log_q_top)
//
// where no term is negative, and g_j is m_j.
template <class R> struct Entropies {
  Vec<R> gains{}, values{};

  TAYLORED_INLINE void add(Vec<R> mass, Vec<R> below_peak) {
    gains += mass;
    values += mass == R(0) ? Vec<R>{} : mass * below_peak;  // infinite for a logit of -inf
  }
};

// How far below the peak of the others a class is put that does not belong to them. Its exponential
// vanishes next to that of the peak, which is 1. Unlike the lowest number it has finite logarithms.
template <class R> constexpr R out_of_sight = R(128);

// Reads the truths of a sweep in any layout and type.
template <class R> class Masses {
 public:
  explicit Masses(const Sweep& sweep)
      : sweep_(sweep),
        dense_(sweep.target, sweep.target_dtype),
        kept_(static_cast<R>(1.0 - sweep.smoothing)),
        even_(static_cast<R>(sweep.smoothing / static_cast<double>(sweep.c))) {}

  // All classes of the position at an offset, contiguous.
  void along_classes(R* to, int64_t offset) const {
    if (sweep_.target_kind == index) {
      std::fill_n(to, sweep_.c, even_);
      to[static_cast<const int64_t*>(sweep_.target)[offset]] += kept_;
    } else {
      dense_.fetch(to, offset, sweep_.t_c, sweep_.c);
      smooth(to, sweep_.c);
    }
  }

  // One class of positions that are `step` apart, contiguous.
  void of_class(int64_t c, R* to, int64_t offset, int64_t step, int64_t length) const {
    if (sweep_.target_kind == index) {
      const auto* target = static_cast<const int64_t*>(sweep_.target) + offset;
      for (int64_t i = 0; i < length; ++i) to[i] = target[i * step] == c ? even_ + kept_ : even_;
    } else {
      dense_.fetch(to, offset + c * sweep_.t_c, step, length);
      smooth(to, length);
    }
  }

 private:
  void smooth(R* y, int64_t length) const {
    if (even_ != R(0))
      for (int64_t i = 0; i < length; ++i) y[i] = y[i] * kept_ + even_;
  }

  const Sweep& sweep_;
  const Input<R> dense_;
  const R kept_, even_;
};

}  // namespace taylored
