// The scalar function of a loss: phi = q^gamma (L A(q) + B(q)), with L = -log p and q = 1 - p.
//
// Besides the value, every evaluation gives the slope h = -dphi/dx in the margin x = log(p / q).
// From dq/dx = -p q and dL/dx = -q, with W = q^gamma and [A] = gamma A + q A':
//
//     phi = W (L A + B)        h = W (q A + p (L [A] + [B]))
#pragma once

#include <algorithm>
#include <cmath>

#include "simd.h"

namespace taylored {

// Where a term is evaluated. From a margin, each of these numbers is exact at both ends.
template <class R> struct Point {
  Vec<R> p, q;
  Vec<R> nll;    // -log p
  Vec<R> log_q;  // log(1 - p)

  Point complement() const { return {q, p, -log_q, -nll}; }
};

template <class R> TAYLORED_INLINE Point<R> at_margin(Vec<R> x) {
  const Vec<R> zero{};
  const auto likely = x > zero;
  const Vec<R> e = exp<R>(likely ? -x : x), rest = log1p<R>(e);
  const Vec<R> large = R(1) / (R(1) + e), small = e * large;
  return {likely ? large : small, likely ? small : large, likely ? rest : rest - x,
          likely ? -x - rest : -rest};
}

// What the series of -log(p), the sum of q^j / j, has beyond its first m terms. In a sum like
// -log(p) - q the leading powers cancel, and with them the digits of a small q; the rest is a sum of
// positive numbers. Its slope is q^(m + 1).
template <class R> class Remainder {
 public:
  static constexpr int64_t most = 8;

  explicit Remainder(int64_t skipped) : skipped_(skipped), series_up_to_(skipped > 2 ? 0.75 : 0.5) {
    const double digits = std::log(std::numeric_limits<R>::epsilon()) / std::log(series_up_to_);
    length_ = std::min<int64_t>(most_length, static_cast<int64_t>(digits) + 2);
    for (int64_t k = 0; k < length_; ++k) series_[k] = R(1) / static_cast<R>(skipped + 1 + k);
  }

  struct Both {
    Vec<R> value, slope;
  };

  TAYLORED_INLINE Both at(Vec<R> q, Vec<R> nll) const {
    Vec<R> first{}, slope = q, tail{};
    for (int64_t j = skipped_; j > 0; --j) first = (first + R(1) / static_cast<R>(j)) * q;
    for (int64_t j = 0; j < skipped_; ++j) slope *= q;
    for (int64_t k = length_ - 1; k >= 0; --k) tail = tail * q + series_[k];
    return {q < series_up_to_ ? slope * tail : nll - first, slope};
  }

 private:
  static constexpr int64_t most_length = 160;
  int64_t skipped_, length_;
  R series_up_to_;
  R series_[most_length];
};

// The ways to raise q to gamma. Whole powers are cheap, the others need an exp.
template <int exponent> struct WholePower {
  static constexpr bool cancels = false, bounded = false;
  template <class R> static TAYLORED_INLINE Vec<R> of(const Point<R>& at, Vec<R>) {
    Vec<R> power = spread<R>(1);
    for (int j = 0; j < exponent; ++j) power *= at.q;
    return power;
  }
};

struct RootPower {
  static constexpr bool cancels = false, bounded = false;
  template <class R> static TAYLORED_INLINE Vec<R> of(const Point<R>& at, Vec<R>) {
    return sqrt<R>(at.q);
  }
};

struct AnyPower {
  static constexpr bool cancels = false, bounded = false;
  template <class R> static TAYLORED_INLINE Vec<R> of(const Point<R>& at, Vec<R> gamma) {
    // Bounded from below, so that 0 to the power 0 is 1.
    const Vec<R> least = spread<R>(std::numeric_limits<R>::lowest());
    return exp<R>(gamma * (at.log_q < least ? least : at.log_q));
  }
};

// Any power, in a term that leaves out the first terms of the series of -log(p).
struct CancellingPower : AnyPower {
  static constexpr bool cancels = true;
};

// Any of these powers, in a term without -log(p), which may be infinite.
template <class Power> struct Bounded : Power {
  static constexpr bool bounded = true;
};

template <class R> struct Outcome { Vec<R> value, slope; };

// A term as data. Next to each polynomial is the part of [.] that does not depend on gamma, q A'.
template <class R> class Term {
 public:
  static constexpr int64_t most_coefficients = 64;

  Term(double gamma, const R* gammas, int64_t na, const double* a, int64_t nb, const double* b,
       int64_t skipped)
      : gammas_(gammas),
        gamma_(gamma),
        cancels_(skipped > 0),
        has_log_(na > 0),
        is_nll_(na == 1 && a[0] == 1.0 && nb == 0 && gamma == 0.0 && !gammas && skipped == 0),
        log_factor_(na, a),
        rest_(nb, b),
        remainder_(skipped) {}

  // One gamma per class, or 0 if there is one for all.
  const R* gammas() const { return gammas_; }
  R gamma() const { return static_cast<R>(gamma_); }

  // Whether it is -log p itself, whose slope is q.
  bool is_nll() const { return is_nll_; }

  // Calls work(power) with the cheapest way to raise q to gamma.
  template <class Work> void with_power(Work&& work) const {
    if (cancels_) return work(CancellingPower{});
    if (!has_log_) {
      if (!gammas_ && gamma_ == 0.0) return work(Bounded<WholePower<0>>{});
      if (!gammas_ && gamma_ == 1.0) return work(Bounded<WholePower<1>>{});
      return work(Bounded<AnyPower>{});
    }
    if (gammas_) return work(AnyPower{});
    if (gamma_ == 0.0) return work(WholePower<0>{});
    if (gamma_ == 0.5) return work(RootPower{});
    if (gamma_ == 1.0) return work(WholePower<1>{});
    if (gamma_ == 2.0) return work(WholePower<2>{});
    if (gamma_ == 3.0) return work(WholePower<3>{});
    if (gamma_ == 4.0) return work(WholePower<4>{});
    work(AnyPower{});
  }

  template <class Power>
  TAYLORED_INLINE Outcome<R> outcome(Power, const Point<R>& at, Vec<R> gamma) const {
    if constexpr (Power::bounded) {
      const Vec<R> power = Power::template of<R>(at, gamma);
      const auto [b, qb] = rest_.at(at.q);
      return {power * b, power * (at.p * (gamma * b + qb))};
    } else if constexpr (Power::cancels) {
      const auto [value, slope] = remainder_.at(at.q, at.nll);
      return combined<Power>(at, gamma, value, slope);
    } else {
      return combined<Power>(at, gamma, at.nll, at.q);
    }
  }

 private:
  // From L and its slope, those of q^gamma (L A + B).
  template <class Power>
  TAYLORED_INLINE Outcome<R> combined(const Point<R>& at, Vec<R> gamma, Vec<R> log,
                                      Vec<R> log_slope) const {
    // p L is 0 in the limit L = inf, which is reached for a true logit of -inf. From far less on p
    // is 0, and products with the coefficients are finite up to there.
    constexpr R edge = R(uint64_t{1} << 60);
    const Vec<R> bounded = log > edge ? spread<R>(edge) : log;
    const Vec<R> power = Power::template of<R>(at, gamma);
    const auto [a, qa] = log_factor_.at(at.q);
    const auto [b, qb] = rest_.at(at.q);
    const Vec<R> growth = bounded * (gamma * a + qa) + (gamma * b + qb);
    return {power * (log * a + b), power * (log_slope * a + at.p * growth)};
  }

  class Polynomial {
   public:
    Polynomial(int64_t count, const double* coefficients) : count_(count) {
      for (int64_t j = 0; j < count; ++j) {
        value_[j] = static_cast<R>(coefficients[j]);
        growth_[j] = static_cast<R>(j * coefficients[j]);
      }
    }

    struct Both {
      Vec<R> value, growth;  // the polynomial, and q times its derivative
    };

    TAYLORED_INLINE Both at(Vec<R> q) const {
      Both both{};
      for (int64_t j = count_ - 1; j >= 0; --j) {
        both.value = both.value * q + value_[j];
        both.growth = both.growth * q + growth_[j];
      }
      return both;
    }

   private:
    int64_t count_;
    R value_[most_coefficients], growth_[most_coefficients];
  };

  const R* gammas_;
  double gamma_;
  bool cancels_;
  bool has_log_;
  bool is_nll_;
  Polynomial log_factor_, rest_;
  Remainder<R> remainder_;
};

}  // namespace taylored
