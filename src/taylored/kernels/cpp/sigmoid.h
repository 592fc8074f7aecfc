// The sigmoid link: every element is a yes / no question of its own (see core/links/sigmoid.py).
//
// Elements are taken in the order of memory, a tile at a time. Logits, truths and coefficients of
// any layout and type are first copied into contiguous scratch memory, so that there is only one
// loop with the arithmetic.
#pragma once

#include "collect.h"
#include "plan.h"
#include "walk.h"

namespace taylored {

// Whether all C numbers are the same. A single alpha for all classes is common, and then the axes
// can be merged.
template <class R> bool uniform(const R* values, int64_t count) {
  return std::all_of(values, values + count, [=](R value) { return value == values[0]; });
}

// A number per class, or one for all classes, spread over the elements of a tile.
template <class R> class ClassNumbers {
 public:
  ClassNumbers(const void* values, int64_t classes, R otherwise)
      : values_(numbers<R>(values)), common_(otherwise) {
    if (values_ && uniform(values_, classes)) {
      common_ = values_[0];
      values_ = nullptr;
    }
  }

  bool varies() const { return values_ != nullptr; }

  // Called before the first tile.
  void prepare(R* to, int64_t width) const { std::fill_n(to, width, common_); }

  // Fills a run of elements that begins with class c.
  void fill(R* to, int64_t c, int64_t step, int64_t length) const {
    if (!values_) return;
    if (step == 0)
      std::fill_n(to, length, values_[c]);
    else
      std::copy_n(values_ + c, length, to);
  }

 private:
  const R* values_;
  R common_;
};

template <class R> class Sigmoid {
 public:
  static constexpr int64_t width = 512;

  explicit Sigmoid(const Sweep& sweep)
      : sweep_(sweep),
        term_(term_of<R>(sweep)),
        positive_(sweep.positive, sweep.c, R(1)),
        negative_(sweep.negative, sweep.c, R(1)),
        bias_(sweep.bias, sweep.c, R(0)),
        gamma_(sweep.gammas, sweep.c, term_.gamma()),
        logits_(logits_of<R>(sweep)),
        target_(sweep.target, sweep.target_dtype),
        rows_(sweep.rows, rows_dtype),
        gradient_(gradient_of<R>(sweep)),
        by_class_(sweep.target_kind == index || sweep.sums || positive_.varies() ||
                  negative_.varies() || bias_.varies() || gamma_.varies()),
        walk_({sweep.n, sweep.c, sweep.s},
              {{sweep.z_n, sweep.z_c, sweep.z_s},
               {sweep.t_n, sweep.target_kind == index ? 0 : sweep.t_c, sweep.t_s},
               {sweep.r_n, sweep.r_c, sweep.r_s},
               {sweep.e_n, sweep.e_c, sweep.e_s},
               // The class of each element, where it is needed.
               {0, by_class_ ? 1 : 0, 0}}) {}

  void run(int64_t threads, Collected& collected) const {
    const int64_t tiles = (walk_.count() + width - 1) / width;
    parallel(threads, tiles, [&](int64_t rank, int64_t first, int64_t last) {
      Tile tile(*this);
      double* sums = collected.sums(rank);
      // Where classes lie side by side, a run has some of each.
      double* near = walk_.step(class_at) == 0 ? nullptr : sums;
      NearSums<R> positive(near, sweep_.c), negative(near ? near + sweep_.c : nullptr, sweep_.c);
      const Gradients gradients{sums, positive.data(), negative.data()};
      int64_t elements = 0;
      Total<R> total;
      bool strange = false;
      for (int64_t i = first; i < last; ++i) {
        const int64_t begin = i * width, end = std::min(begin + width, walk_.count());
        gather(tile, begin, end);
        const bool hard = settle_truth(tile, end - begin, strange);
        term_.with_power([&](auto power) {
          hard ? evaluate_hard(power, tile, end - begin, total)
               : evaluate_soft(power, tile, end - begin, total);
        });
        hand_over(tile, begin, end, gradients);
        elements += end - begin;
        positive.added(elements / sweep_.c);
        negative.added(elements / sweep_.c);
        elements %= sweep_.c;
      }
      collected.set_total(rank, total.value());
      if (strange) collected.set_strange(rank);
    });
  }

 private:
  static constexpr int64_t rows_dtype = sizeof(R) == sizeof(float) ? f32 : f64;
  enum Array { logits_at, target_at, rows_at, each_at, class_at };

  // Fills one tile.
  struct Tile {
    explicit Tile(const Sigmoid& plan) {
      plan.positive_.prepare(positive, width);
      plan.negative_.prepare(negative, width);
      plan.bias_.prepare(bias, width);
      plan.gamma_.prepare(gamma, width);
      std::fill_n(rows, width, *numbers<R>(plan.sweep_.rows));
    }

    alignas(64) R logit[width], truth[width], rows[width], positive[width], negative[width],
        bias[width], gamma[width], value[width], gradient[width];
  };

  void gather(Tile& tile, int64_t begin, int64_t end) const {
    const int64_t class_step = walk_.step(class_at);
    walk_.runs(begin, end, [&](int64_t done, int64_t length, const int64_t* at) {
      logits_.fetch(tile.logit + done, at[logits_at], walk_.step(logits_at), length);
      if (!walk_.constant(rows_at) || sweep_.ignores)  // ignored elements are overwritten
        rows_.fetch(tile.rows + done, at[rows_at], walk_.step(rows_at), length);
      gather_truth(tile.truth + done, at[target_at], at[class_at], length);
      positive_.fill(tile.positive + done, at[class_at], class_step, length);
      negative_.fill(tile.negative + done, at[class_at], class_step, length);
      bias_.fill(tile.bias + done, at[class_at], class_step, length);
      gamma_.fill(tile.gamma + done, at[class_at], class_step, length);
    });
    if (sweep_.bias)
      for (int64_t i = 0; i < end - begin; ++i) tile.logit[i] += tile.bias[i];
    const R temperature = static_cast<R>(sweep_.temperature);
    if (temperature != R(1))
      for (int64_t i = 0; i < end - begin; ++i) tile.logit[i] /= temperature;
  }

  void gather_truth(R* to, int64_t at, int64_t c, int64_t length) const {
    const int64_t step = walk_.step(target_at);
    if (sweep_.target_kind == dense) return target_.fetch(to, at, step, length);
    const int64_t* target = target_at_offset(at);
    if (walk_.step(class_at) == 1 && step == 0) {  // the classes of one position
      std::fill_n(to, length, R(0));
      if (*target >= c && *target < c + length) to[*target - c] = R(1);
    } else {
      for (int64_t i = 0; i < length; ++i)
        to[i] = target[i * step] == c + i * walk_.step(class_at) ? R(1) : R(0);
    }
  }

  bool integers() const { return sweep_.target_kind == index || sweep_.target_dtype >= u8; }

  // Applies the mask and the smoothing, and finds out whether every truth of the tile is yes or no,
  // and whether one is outside [0, 1].
  bool settle_truth(Tile& tile, int64_t count, bool& strange) const {
    if (sweep_.ignores && sweep_.target_kind == dense) ignore(tile, count);
    // Lanes beyond the last element compute with harmless numbers, and a coefficient of 0.
    const int64_t padded = round_up(count, Simd<R>::lanes);
    for (int64_t i = count; i < padded; ++i) tile.logit[i] = tile.truth[i] = tile.rows[i] = R(0);
    bool hard = integers();
    if (sweep_.target_kind == dense) {
      const Seen seen = look_at_truths(tile, padded);
      if (seen.unlikely) strange |= tidy(tile, count);
      hard |= seen.hard;
    }
    const R smoothing = static_cast<R>(sweep_.smoothing);
    if (smoothing == R(0)) return hard;
    for (int64_t i = 0; i < count; ++i)
      tile.truth[i] = tile.truth[i] * (R(1) - smoothing) + R(0.5) * smoothing;
    return false;
  }

  // As core/inputs/targets.py: mixed truths miss 1 by a digit.
  static constexpr R rounding = R(1e-3);

  // Whether all truths are yes or no, and whether one may be outside [0, 1], or NaN.
  struct Seen {
    bool hard, unlikely;
  };

  // y (1 - y) is 0 only for yes and no, and below 0 outside; neither needs a branch.
  static Seen look_at_truths(const Tile& tile, int64_t padded) {
    Vec<R> between{}, outside{};
    for (int64_t i = 0; i < padded; i += Simd<R>::lanes) {
      const Vec<R> truth = load(tile.truth + i), product = truth - truth * truth;
      between += abs<R>(product);
      outside = max<R>(-product, outside);
    }
    const R all = sum<R>(between);
    const bool finite = all <= std::numeric_limits<R>::max();
    return {all == R(0), !finite || largest<R>(outside) > rounding};
  }

  // Clears the truths that count for nothing. Whether one of the others is outside [0, 1].
  static bool tidy(Tile& tile, int64_t count) {
    bool outside = false;
    for (int64_t i = 0; i < count; ++i) {
      const R truth = tile.rows[i] == R(0) ? R(0) : tile.truth[i];
      outside |= !(truth >= -rounding && truth <= R(1) + rounding);  // NaN is outside too
      tile.truth[i] = truth;
    }
    return outside;
  }

  // What counts for nothing is looked for only where it has done harm: 0 times NaN or infinity has
  // made the sum of the values NaN.
  template <class Power>
  void evaluate_hard(Power power, Tile& tile, int64_t count, Total<R>& total) const {
    Total<R> found = hard_pass(power, tile, count);
    if (found.is_nan()) {
      silence(tile, count);
      found = hard_pass(power, tile, count);
    }
    total.add(found);
  }

  template <class Power>
  void evaluate_soft(Power power, Tile& tile, int64_t count, Total<R>& total) const {
    Total<R> found = soft_pass<false>(power, tile, count);
    if (found.is_nan()) found = soft_pass<true>(power, tile, count);
    total.add(found);
  }

  // Makes the logits of elements that count for nothing harmless.
  static void silence(Tile& tile, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const R outcome = tile.truth[i] > R(0) ? tile.positive[i] : tile.negative[i];
      tile.logit[i] = tile.rows[i] * outcome == R(0) ? R(0) : tile.logit[i];
    }
  }

  template <class Power>
  TAYLORED_APART Total<R> hard_pass(Power power, Tile& tile, int64_t count) const {
    Total<R> total;
    for (int64_t i = 0; i < count; i += Simd<R>::lanes) {
      const Vec<R> x = load(tile.logit + i), rows = load(tile.rows + i);
      const auto yes = load(tile.truth + i) > Vec<R>{};
      const Vec<R> weight = rows * (yes ? load(tile.positive + i) : load(tile.negative + i));
      const auto [value, slope] =
          term_.outcome(power, at_margin<R>(yes ? x : -x), load(tile.gamma + i));
      const Vec<R> pull = weight * slope;
      store<R>(tile.value + i, weight * value);
      store<R>(tile.gradient + i, yes ? -pull : pull);
      total.add(weight * value);
    }
    return total;
  }

  // With care, an outcome of weight 0 costs nothing where its value is infinite or NaN.
  template <bool careful, class Power>
  TAYLORED_APART Total<R> soft_pass(Power power, Tile& tile, int64_t count) const {
    const auto priced = [](Vec<R> weight, Vec<R> value) {
      if constexpr (careful) return weight == R(0) ? Vec<R>{} : weight * value;
      return weight * value;
    };
    Total<R> total;
    for (int64_t i = 0; i < count; i += Simd<R>::lanes) {
      const Vec<R> rows = load(tile.rows + i), truth = load(tile.truth + i);
      const Vec<R> yes = rows * load(tile.positive + i) * truth;
      const Vec<R> no = rows * load(tile.negative + i) * (R(1) - truth);
      const Vec<R> gamma = load(tile.gamma + i);
      Vec<R> x = load(tile.logit + i);
      if constexpr (careful) x = (yes == R(0)) & (no == R(0)) ? Vec<R>{} : x;
      const Point<R> at = at_margin<R>(x);
      const auto [yes_value, yes_slope] = term_.outcome(power, at, gamma);
      const auto [no_value, no_slope] = term_.outcome(power, at.complement(), gamma);
      const Vec<R> value = priced(yes, yes_value) + priced(no, no_value);
      store<R>(tile.value + i, value);
      store<R>(tile.gradient + i, no * no_slope - yes * yes_slope);
      total.add(value);
    }
    return total;
  }

  // Where the absolute gradients of the classes are added up: in double, and near.
  struct Gradients {
    double* sums;
    R *positive, *negative;
  };

  void hand_over(const Tile& tile, int64_t begin, int64_t end, const Gradients& to) const {
    const R scale = R(1) / static_cast<R>(sweep_.temperature);
    R* each = static_cast<R*>(sweep_.each);
    walk_.runs(begin, end, [&](int64_t done, int64_t length, const int64_t* at) {
      const R *from = tile.gradient + done, *value = tile.value + done;
      if (gradient_) gradient_.put(at[logits_at], walk_.step(logits_at), length, from, scale);
      for (int64_t i = 0; each && i < length; ++i)
        each[at[each_at] + i * walk_.step(each_at)] = value[i];
      if (!to.sums) return;
      const int64_t c = at[class_at];
      if (walk_.step(class_at) == 0)
        add_up_one(from, tile.truth + done, length, to.sums[c], to.sums[sweep_.c + c]);
      else if (one_truth())
        add_up_rivals(from, length, *target_at_offset(at[target_at]) - c, to.positive + c,
                      to.negative + c);
      else
        add_up(from, tile.truth + done, length, to.positive + c, to.negative + c);
    });
  }

  // Whether a run of classes has one truth at most, the whole mass of which is on it.
  bool one_truth() const {
    return sweep_.target_kind == index && sweep_.smoothing == 0.0 && walk_.step(target_at) == 0;
  }

  const int64_t* target_at_offset(int64_t offset) const {
    return static_cast<const int64_t*>(sweep_.target) + offset;
  }

  // Adds absolute gradients to the sums of consecutive classes, of which one may be the truth.
  static void add_up_rivals(const R* gradient, int64_t length, int64_t truth, R* positive,
                            R* __restrict negative) {
    const bool here = truth >= 0 && truth < length;
    const R before = here ? negative[truth] : R(0);
    for (int64_t i = 0; i < length; ++i) negative[i] += std::abs(gradient[i]);
    if (!here) return;
    negative[truth] = before;
    positive[truth] += std::abs(gradient[truth]);
  }

  // Adds absolute gradients, split by the truth, to the sums of consecutive classes.
  static void add_up(const R* gradient, const R* truth, int64_t length, R* __restrict positive,
                     R* __restrict negative) {
    for (int64_t i = 0; i < length; ++i) {
      const R size = std::abs(gradient[i]), share = size * truth[i];
      positive[i] += share;
      negative[i] += size - share;
    }
  }

  // The same for elements of one class. Added to one number in turn, they would wait for each
  // other.
  static void add_up_one(const R* gradient, const R* truth, int64_t length, double& positive,
                         double& negative) {
    Total<R> shares, rest;
    int64_t i = 0;
    for (; i + Simd<R>::lanes <= length; i += Simd<R>::lanes) {
      const Vec<R> size = abs<R>(load(gradient + i)), share = size * load(truth + i);
      shares.add(share);
      rest.add(size - share);
    }
    for (; i < length; ++i) {
      const R size = std::abs(gradient[i]), share = size * truth[i];
      positive += share;
      negative += size - share;
    }
    positive += shares.value();
    negative += rest.value();
  }

  void ignore(Tile& tile, int64_t count) const {
    const R ignored = static_cast<R>(sweep_.ignore);
    for (int64_t i = 0; i < count; ++i) {
      const bool kept = tile.truth[i] != ignored;
      tile.truth[i] = kept ? tile.truth[i] : R(0);
      tile.rows[i] = kept ? tile.rows[i] : R(0);
    }
  }

  const Sweep& sweep_;
  const Term<R> term_;
  const ClassNumbers<R> positive_, negative_, bias_, gamma_;
  const Input<R> logits_, target_, rows_;
  const Output<R> gradient_;
  const bool by_class_;
  const Walk<5> walk_;
};

}  // namespace taylored
