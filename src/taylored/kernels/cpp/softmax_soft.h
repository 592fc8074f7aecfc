// Softmax with a distribution over the classes as the truth (probabilities, or smoothed labels),
// for two layouts of the batch. distribution.h states the formulas. The passes are those of
// softmax_hard.h and one more, because every class other than the top needs the sum of all gains.
// Cross-entropy knows that sum beforehand, and needs neither the pass nor its logarithms.
#pragma once

#include "collect.h"
#include "distribution.h"

namespace taylored {

// For contiguous classes.
template <class R> void soft_rows(const Sweep& sweep, int64_t threads, Collected& collected) {
  constexpr int64_t lanes = Simd<R>::lanes, most = 16;
  const int64_t classes = sweep.c, length = round_up(classes, lanes);
  const int64_t width = tile_width(2 * length * sizeof(R), 1, most);
  const Term<R> term = term_of<R>(sweep);
  const Adjustment<R> adjustment(sweep);
  const Masses<R> masses(sweep);
  const bool is_nll = term.is_nll();
  const R* positive = numbers<R>(sweep.positive);
  const Input<R> logits = logits_of<R>(sweep);
  const Output<R> gradient = gradient_of<R>(sweep);

  each_tile(sweep, width, threads, [&](int64_t rank, auto&& tiles) {
    Scratch scratch(Positions<R>::bytes(most) + Tops<R>::bytes(most) +
                    2 * Scratch::size_of<R>(width * length) + 2 * Scratch::size_of<R>(length));
    Positions<R> at(sweep, most, scratch);
    Tops<R> tops(most, scratch);
    R* z = scratch.take<R>(width * length);  // later the shares
    R* y = scratch.take<R>(width * length);  // later the gains; of cross-entropy always the masses
    R* gammas = scratch.take<R>(length);
    R* truth = scratch.take<R>(length);
    std::fill_n(gammas, length, term.gamma());
    if (term.gammas()) std::copy_n(term.gammas(), classes, gammas);
    double* sums = collected.sums(rank);
    NearSums<R> pulled(sums, classes), pushed(sums ? sums + classes : nullptr, classes);
    Total<R> total;

    tiles([&](int64_t first, int64_t last) {
      at.gather(first, last);
      for (int64_t i = 0; i < at.count; ++i) {
        R *row = z + i * length, *mass = y + i * length;
        // Lower than any logit, so that the peak is found in the row even if all its logits are
        // -inf.
        std::fill(row + classes, row + length, -std::numeric_limits<R>::infinity());
        std::fill(mass + classes, mass + length, R(0));
        if (at.counts_for_nothing(i)) {
          std::fill(row, row + classes, R(0));
          std::fill(mass, mass + classes, R(0));
          continue;
        }
        logits.fetch(row, at.logits[i], 1, classes);
        masses.along_classes(mass, at.target[i]);
        if (positive)
          for (int64_t c = 0; c < classes; ++c) mass[c] *= positive[c];
      }
      adjustment.along_classes(z, at.count, classes, length, at.peak);
      for (int64_t i = 0; i < at.count; ++i) {
        R *row = z + i * length, *mass = y + i * length;
        const int64_t top = index_of_peak(row, length);
        tops.index[i] = top;
        tops.mass[i] = mass[top];
        tops.gamma[i] = gammas[top];
        at.chosen[i] = row[top];
        row[top] = taken_out<R>;
        mass[top] = R(0);
      }
      for (int64_t i = 0; i < at.count; ++i) {
        R* row = z + i * length;
        at.peak[i] = peak_of(row, length);
        row[tops.index[i]] = at.peak[i] - out_of_sight<R>;
        std::fill(row + classes, row + length, at.peak[i] - out_of_sight<R>);
      }
      for (int64_t i = 0; i < at.count; ++i) {
        R *row = z + i * length, *mass = y + i * length;
        if (!is_nll) {
          at.mass[i] = exponentials(row, length, at.peak[i], [](Vec<R>, int64_t) {});
          continue;
        }
        Entropies<R> others;
        const R peak = at.peak[i];
        at.mass[i] = exponentials(row, length, peak, [&](Vec<R> e, int64_t c) {
          others.add(load(mass + c), peak - load(row + c));
          store<R>(row + c, e);
        });
        tops.gains[i] = at.coefficient[i] * sum<R>(others.gains);
        tops.values[i] = at.coefficient[i] * sum<R>(others.values);
      }

      tops.settle(term, at);
      for (int64_t i = 0; is_nll && i < at.count; ++i) at.value[i] += tops.entropy(i);
      if (!is_nll) term.with_power([&](auto power) {
        for (int64_t i = 0; i < at.count; ++i) {
          R *row = z + i * length, *mass = y + i * length;
          const Vec<R> coefficient = spread(at.coefficient[i]), peak = spread(at.peak[i]),
                       log_sum = spread(tops.log_sum[i]), q = spread(tops.q[i]),
                       log_q = spread(tops.log_q[i]);
          Vec<R> values{}, gains{};
          for (int64_t c = 0; c < length; c += lanes) {
            const auto [share, gain, value] =
                rivals<R>(term, power, load(row + c), coefficient * load(mass + c),
                          load(gammas + c), peak, log_sum, q, log_q);
            store<R>(row + c, share);
            store<R>(mass + c, gain);
            gains += gain;
            values += value;
          }
          at.value[i] += sum<R>(values);
          tops.gains[i] = sum<R>(gains);
        }
      });
      for (int64_t i = 0; i < at.padded; i += lanes) total.add(load(at.value + i));
      at.write_each(first);

      for (int64_t i = 0; (gradient || sums) && i < at.count; ++i) {
        R *row = z + i * length, *gain = y + i * length;
        const R rival_pull = tops.q[i] * tops.gains[i] + at.pull[i];
        const R share = is_nll ? rival_pull / at.mass[i] : rival_pull;
        const R unit = is_nll ? at.coefficient[i] : R(1);  // of what stands in `gain`
        for (int64_t c = 0; c < classes; ++c) row[c] = row[c] * share - unit * gain[c];
        row[tops.index[i]] = tops.p[i] * tops.gains[i] - at.pull[i];
        if (sums) {
          masses.along_classes(truth, at.target[i]);
          R *positive_sums = pulled.data(), *negative_sums = pushed.data();
          for (int64_t c = 0; c < classes; ++c) {
            const R size = std::abs(row[c]), share = size * truth[c];
            positive_sums[c] += share;
            negative_sums[c] += size - share;
          }
          pulled.added(1);
          pushed.added(1);
        }
        if (!gradient) continue;
        adjustment.scale_along_classes(row, classes);
        gradient.put(at.logits[i], 1, classes, row, 1 / adjustment.temperature());
      }
    });
    collected.set_total(rank, total.value());
  });
}

// For contiguous positions.
template <class R> void soft_columns(const Sweep& sweep, int64_t threads, Collected& collected) {
  constexpr int64_t lanes = Simd<R>::lanes, most = 512;
  const int64_t classes = sweep.c;
  const int64_t width = tile_width(2 * classes * sizeof(R), lanes, most);
  const Term<R> term = term_of<R>(sweep);
  const Adjustment<R> adjustment(sweep);
  const Masses<R> masses(sweep);
  const bool is_nll = term.is_nll();
  const R *positive = numbers<R>(sweep.positive), *gammas = term.gammas();
  const Walk<4> walk = Positions<R>::walk(sweep);
  const Input<R> logits = logits_of<R>(sweep);
  const Output<R> gradient = gradient_of<R>(sweep);

  each_tile(sweep, width, threads, [&](int64_t rank, auto&& tiles) {
    Scratch scratch(Positions<R>::bytes(width) + Tops<R>::bytes(width) +
                    2 * Scratch::size_of<R>(width * classes) + 3 * Scratch::size_of<R>(width));
    Positions<R> at(sweep, width, scratch);
    Tops<R> tops(width, scratch);
    R* z = scratch.take<R>(width * classes);  // later the shares
    R* y = scratch.take<R>(width * classes);  // later the gains; of cross-entropy always the masses
    R *truth = scratch.take<R>(width), *share = scratch.take<R>(width);
    R* unit = scratch.take<R>(width);  // of what stands in `gain`
    double* sums = collected.sums(rank);
    Total<R> total;

    tiles([&](int64_t first, int64_t last) {
      at.gather(first, last);
      walk.runs(first, last, [&](int64_t done, int64_t length, const int64_t* from) {
        for (int64_t c = 0; c < classes; ++c) {
          const int64_t line = c * width + done;
          logits.fetch(z + line, from[0] + c * sweep.z_c, walk.step(0), length);
          masses.of_class(c, y + line, from[1], walk.step(1), length);
        }
      });
      for (int64_t c = 0; c < classes; ++c) {
        R *row = z + c * width, *mass = y + c * width;
        for (int64_t i = 0; positive && i < at.count; ++i) mass[i] *= positive[c];
        at.silence(row);
        at.silence(mass);
        std::fill(row + at.count, row + at.padded, R(0));
        std::fill(mass + at.count, mass + at.padded, R(0));
      }
      adjustment.along_positions(z, classes, width, at.padded, at.peak);
      for (int64_t i = 0; i < at.count; ++i) {
        int64_t top = 0;
        R chosen = z[i];
        for (int64_t c = 1; c < classes; ++c)
          if (z[c * width + i] > chosen) chosen = z[(top = c) * width + i];
        tops.index[i] = top;
        tops.mass[i] = y[top * width + i];
        tops.gamma[i] = gammas ? gammas[top] : term.gamma();
        at.chosen[i] = chosen;
        z[top * width + i] = taken_out<R>;
        y[top * width + i] = R(0);
      }
      peaks_of(z, classes, width, at.padded, at.peak);
      for (int64_t i = 0; i < at.count; ++i)
        z[tops.index[i] * width + i] = at.peak[i] - out_of_sight<R>;
      for (int64_t i = 0; i < at.padded; i += lanes) {
        const Vec<R> peak = load(at.peak + i), coefficient = load(at.coefficient + i);
        LongSum<R> mass;
        Entropies<R> others;
        for (int64_t c = 0; c < classes; ++c) {
          R* row = z + c * width + i;
          const Vec<R> logit = load(row), e = exp<R>(logit - peak);
          mass.add(e);
          if (!is_nll) continue;
          others.add(load(y + c * width + i), peak - logit);
          store<R>(row, e);
        }
        store<R>(at.mass + i, mass.value());
        store<R>(tops.gains + i, coefficient * others.gains);
        store<R>(tops.values + i, coefficient * others.values);
      }

      tops.settle(term, at);
      for (int64_t i = 0; is_nll && i < at.padded; i += lanes) {
        for (int64_t k = i; k < i + lanes; ++k) at.value[k] += tops.entropy(k);
        total.add(load(at.value + i));
      }
      if (!is_nll) term.with_power([&](auto power) {
        for (int64_t i = 0; i < at.padded; i += lanes) {
          const Vec<R> coefficient = load(at.coefficient + i), peak = load(at.peak + i),
                       log_sum = load(tops.log_sum + i), q = load(tops.q + i),
                       log_q = load(tops.log_q + i);
          LongSum<R> values, gains;
          for (int64_t c = 0; c < classes; ++c) {
            R *row = z + c * width + i, *mass = y + c * width + i;
            const Vec<R> gamma = spread(gammas ? gammas[c] : term.gamma());
            const auto [share, gain, value] = rivals<R>(
                term, power, load(row), coefficient * load(mass), gamma, peak, log_sum, q, log_q);
            store<R>(row, share);
            store<R>(mass, gain);
            gains.add(gain);
            values.add(value);
          }
          const Vec<R> sum = load(at.value + i) + values.value();
          store<R>(at.value + i, sum);
          store<R>(tops.gains + i, gains.value());
          total.add(sum);
        }
      });
      at.write_each(first);

      if (!gradient && !sums) return;
      for (int64_t i = 0; i < at.count; ++i) {
        const R rival_pull = tops.q[i] * tops.gains[i] + at.pull[i];
        share[i] = is_nll ? rival_pull / at.mass[i] : rival_pull;
        unit[i] = is_nll ? at.coefficient[i] : R(1);
      }
      for (int64_t c = 0; c < classes; ++c) {
        R *row = z + c * width, *gain = y + c * width;
        for (int64_t i = 0; i < at.count; ++i) row[i] = row[i] * share[i] - unit[i] * gain[i];
      }
      for (int64_t i = 0; i < at.count; ++i)
        z[tops.index[i] * width + i] = tops.p[i] * tops.gains[i] - at.pull[i];
      walk.runs(first, last, [&](int64_t done, int64_t length, const int64_t* to) {
        for (int64_t c = 0; c < classes; ++c) {
          const R* row = z + c * width + done;
          if (gradient)
            gradient.put(to[0] + c * sweep.z_c, walk.step(0), length, row,
                         adjustment.scale(c) / adjustment.temperature());
          if (!sums) continue;
          masses.of_class(c, truth, to[1], walk.step(1), length);
          double pulled = 0.0, pushed = 0.0;
          for (int64_t i = 0; i < length; ++i) {
            const R size = std::abs(row[i]), share = size * truth[i];
            pulled += share;
            pushed += size - share;
          }
          sums[c] += pulled;
          sums[classes + c] += pushed;
        }
      });
    });
    collected.set_total(rank, total.value());
  });
}

}  // namespace taylored
