// The two sweeps of the overlap losses (core/overlap/sums.py): sums over the positions of each
// class, and the gradient on the logits from the derivatives by these sums.
//
// The positions of one sample are cut into tiles, in which a row is a class. Probabilities are
// computed anew for the gradient: to keep them would take as much memory as the logits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "plan.h"

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

namespace taylored {

// One tile: logits, then probabilities, of all classes; coefficients and truths of its positions.
template <class R> class Tile {
 public:
  static constexpr int64_t lanes = Simd<R>::lanes, most = 512;

  static int64_t width_of(const Overlap& w) { return tile_width(w.c * sizeof(R), lanes, most); }

  static size_t bytes(const Overlap& w) {
    const int64_t width = width_of(w);
    return Scratch::size_of<R>(w.c * width) + 6 * Scratch::size_of<R>(width) +
           Scratch::size_of<int64_t>(width);
  }

  Tile(const Overlap& overlap, Scratch& scratch)
      : width(width_of(overlap)),
        p(scratch.take<R>(overlap.c * width)),
        weight(scratch.take<R>(width)),
        truth(scratch.take<R>(width)),
        own(scratch.take<R>(width)),
        mean(scratch.take<R>(width)),
        rest(scratch.take<R>(width)),
        share(scratch.take<R>(width)),
        index(scratch.take<int64_t>(width)),
        w_(overlap),
        logits_(overlap.logits, overlap.dtype),
        targets_(overlap.target, overlap.target_dtype),
        rows_(numbers<R>(overlap.rows)) {}

  const int64_t width;
  R* p;                       // (c, width); for softmax still to be multiplied by `share`
  R *weight, *truth;          // of the positions; of one class where they differ between classes
  R *own, *mean, *rest;       // for the gradient
  R* share;                   // 1 over the sum of the exponentials of each position
  int64_t* index;             // the true class of each position
  int64_t count = 0, padded = 0;

  bool per_position() const { return w_.r_c == 0 && !w_.ignores; }

  void begin(int64_t sample, int64_t first, int64_t last) {
    sample_ = sample;
    first_ = first;
    count = last - first;
    padded = round_up(count, lanes);
    if (w_.target_kind == taylored::index) {
      const int64_t* from = static_cast<const int64_t*>(w_.target) + place(w_.t_n, w_.t_s);
      for (int64_t i = 0; i < count; ++i) index[i] = from[i * w_.t_s];
      std::fill(index + count, index + padded, int64_t{-1});
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
    }
  }

  int64_t group() const { return w_.by_sample ? sample_ : 0; }

  int64_t offset(int64_t c) const { return place(w_.z_n, w_.z_s) + c * w_.z_c; }

 private:
  int64_t place(int64_t by_sample, int64_t by_position) const {
    return sample_ * by_sample + first_ * by_position;
  }

  void weigh(int64_t c) {
    const R* from = rows_ + place(w_.r_n, w_.r_s) + c * w_.r_c;
    for (int64_t i = 0; i < count; ++i) weight[i] = from[i * w_.r_s];
    std::fill(weight + count, weight + padded, R(0));
    idle_ = w_.ignores || std::any_of(weight, weight + count, [](R one) { return one == R(0); });
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

// The sum of step(i) over the vectors of a tile.
template <class R, class Step> TAYLORED_INLINE double over(int64_t padded, Step step) {
  Vec<R> total{};
  for (int64_t i = 0; i < padded; i += Simd<R>::lanes) total += step(i);
  return static_cast<double>(sum<R>(total));
}

template <class R> class Summing {
 public:
  Summing(const Overlap& overlap, double* sums)
      : w_(overlap), sums_(sums), apart_((overlap.by_sample ? overlap.n : 1) * overlap.c) {}

  void operator()(Tile<R>& at) {
    const bool soft = w_.link == Link::softmax, hard = w_.target_kind == taylored::index;
    if (soft) at.softmax();
    if (soft)  // `own` is the weight of the exponentials
      for (int64_t i = 0; i < at.padded; ++i) at.own[i] = at.weight[i] * at.share[i];
    double* both = sums_ + at.group() * w_.c;
    double *predicted = both + apart_, *true_ = predicted + apart_;
    double *predicted_squares = true_ + apart_, *true_squares = predicted_squares + apart_;
    for (int64_t c = 0; c < w_.c; ++c) {
      at.look_at(c);
      if (!soft) at.sigmoid(c);
      const R *p = at.p + c * at.width, *w = at.weight, *y = at.truth;
      const R *v = soft ? at.own : at.weight, *share = at.share;
      predicted[c] += over<R>(at.padded, [=](int64_t i) { return load(v + i) * load(p + i); });
      if (w_.squares)
        predicted_squares[c] += over<R>(at.padded, [=](int64_t i) {
          const Vec<R> square = load(v + i) * load(p + i) * load(p + i);
          return soft ? square * load(share + i) : square;
        });
      if (hard) {
        if (!soft || !at.per_position()) scatter(at, c, both, true_, true_squares);
        continue;
      }
      both[c] += over<R>(at.padded,
                         [=](int64_t i) { return load(v + i) * load(p + i) * load(y + i); });
      true_[c] += over<R>(at.padded, [=](int64_t i) { return load(w + i) * load(y + i); });
      if (w_.squares)
        true_squares[c] += over<R>(
            at.padded, [=](int64_t i) { return load(w + i) * load(y + i) * load(y + i); });
    }
    if (hard && soft && at.per_position()) scatter(at, -1, both, true_, true_squares);
  }

 private:
  // Adds the positions whose truth is one class, or each to its own class for -1.
  void scatter(const Tile<R>& at, int64_t only, double* both, double* true_, double* squares) {
    const R* weight = w_.link == Link::softmax ? at.own : at.weight;
    for (int64_t i = 0; i < at.count; ++i) {
      const int64_t t = at.index[i];
      if (t < 0 || t >= w_.c || (only >= 0 && t != only)) continue;
      both[t] += static_cast<double>(weight[i] * at.p[t * at.width + i]);
      true_[t] += static_cast<double>(at.weight[i]);
      if (w_.squares) squares[t] += static_cast<double>(at.weight[i]);
    }
  }

  const Overlap& w_;
  double* sums_;
  const int64_t apart_;
};

template <class R> class Differentiating {
 public:
  static constexpr int64_t lanes = Simd<R>::lanes;

  explicit Differentiating(const Overlap& overlap)
      : w_(overlap),
        factors_(numbers<R>(overlap.factors)),
        apart_((overlap.by_sample ? overlap.n : 1) * overlap.c),
        gradient_(overlap.gradient, overlap.g_dtype) {}

  void operator()(Tile<R>& at) {
    const R* both = factors_ + at.group() * w_.c;
    const R *predicted = both + apart_, *squares = predicted + apart_;
    if (w_.link == Link::softmax)
      softmax(at, both, predicted, squares);
    else
      sigmoid(at, both, predicted, squares);
  }

 private:
  void softmax(Tile<R>& at, const R* both, const R* predicted, const R* squares) {
    const bool hard = w_.target_kind == taylored::index;
    at.softmax();
    if (hard) {
      gain_of_truths(at, both);
      for (int64_t i = 0; i < at.padded; i += lanes) {
        const Vec<R> share = load(at.share + i), weight = load(at.weight + i) * share;
        R* p = at.p + i;
        Vec<R> mean{};
        for (int64_t c = 0; c < w_.c; ++c) {
          const Vec<R> e = load(p + c * at.width);
          mean += w_.squares ? (predicted[c] + 2 * squares[c] * (e * share)) * e : predicted[c] * e;
        }
        mean = mean * share + load(at.own + i);
        for (int64_t c = 0; c < w_.c; ++c) {
          const Vec<R> e = load(p + c * at.width);
          Vec<R> slope = predicted[c] - mean;
          if (w_.squares) slope += 2 * squares[c] * (e * share);
          store<R>(p + c * at.width, slope * e * weight);
        }
      }
      for (int64_t i = 0; i < at.count; ++i) {
        const int64_t t = at.index[i];
        if (t >= 0 && t < w_.c) at.p[t * at.width + i] += at.own[i] * at.weight[i];
      }
    } else {
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
        }
    }
    for (int64_t c = 0; c < w_.c; ++c) put(at, c);
  }

  // What the truth of each position adds to the loss, in `own`.
  void gain_of_truths(Tile<R>& at, const R* both) {
    std::fill(at.own, at.own + at.padded, R(0));
    for (int64_t i = 0; i < at.count; ++i) {
      const int64_t t = at.index[i];
      if (t >= 0 && t < w_.c) at.own[i] = at.p[t * at.width + i] * at.share[i] * both[t];
    }
  }

  void sigmoid(Tile<R>& at, const R* both, const R* predicted, const R* squares) {
    const bool hard = w_.target_kind == taylored::index;
    for (int64_t c = 0; c < w_.c; ++c) {
      R* p = at.p + c * at.width;
      const R *y = at.truth, *w = at.weight;
      const R a = both[c], b = predicted[c], d = 2 * squares[c];
      at.look_at(c);
      if (hard)
        for (int64_t i = 0; i < at.padded; ++i) at.truth[i] = at.index[i] == c ? R(1) : R(0);
      at.sigmoid(c);
      for (int64_t i = 0; i < at.padded; i += lanes) {
        const Vec<R> slope = b + d * load(p + i) + a * load(y + i);
        store<R>(p + i, slope * load(p + i) * load(at.rest + i) * load(w + i));
      }
      put(at, c);
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

template <class R> void run_overlap(const Overlap& w) {
  const int64_t threads = useful_threads(w.threads, w.n * w.c * w.s);
  const int64_t width = Tile<R>::width_of(w), tiles = (w.s + width - 1) / width;
  const int64_t size = (w.squares ? 5 : 3) * (w.by_sample ? w.n : 1) * w.c;
  std::vector<double> sums(w.gradient ? 0 : threads * size);
  parallel(threads, w.n * tiles, [&](int64_t rank, int64_t first, int64_t last) {
    Scratch scratch(Tile<R>::bytes(w));
    Tile<R> tile(w, scratch);
    Summing<R> sum(w, sums.data() + (w.gradient ? 0 : rank * size));
    Differentiating<R> differentiate(w);
    for (int64_t at = first; at < last; ++at) {
      const int64_t begin = at % tiles * width;
      tile.begin(at / tiles, begin, std::min(begin + width, w.s));
      if (w.gradient)
        differentiate(tile);
      else
        sum(tile);
    }
  });
  for (std::size_t i = 0; i < sums.size(); ++i) w.sums[i % size] += sums[i];
}

}  // namespace taylored
