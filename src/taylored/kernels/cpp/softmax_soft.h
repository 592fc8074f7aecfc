// Softmax with a distribution over the classes as the truth (probabilities, or smoothed labels),
// for two layouts of the batch. distribution.h states the formulas. The passes are those of
// softmax_hard.h and one more, because every class other than the top needs the sum of all gains.
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
  const R* positive = numbers<R>(sweep.positive);
  const Input<R> logits = logits_of<R>(sweep);
  const Output<R> gradient = gradient_of<R>(sweep);

  each_tile(sweep, width, threads, [&](int64_t rank, auto&& tiles) {
    Scratch scratch(Positions<R>::bytes(most) + Tops<R>::bytes(most) +
                    2 * Scratch::size_of<R>(width * length) + 2 * Scratch::size_of<R>(length));
    Positions<R> at(sweep, most, scratch);
    Tops<R> tops(most, scratch);
    R* z = scratch.take<R>(width * length);  // later the shares
    R* y = scratch.take<R>(width * length);  // later the gains
    R* gammas = scratch.take<R>(length);
    R* truth = scratch.take<R>(length);
    std::fill_n(gammas, length, term.gamma());
    if (term.gammas()) std::copy_n(term.gammas(), classes, gammas);
    double* sums = collected.sums(rank);
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
      for (int64_t i = 0; i < at.count; ++i)
        at.mass[i] = exponentials(z + i * length, length, at.peak[i], [](Vec<R>, int64_t) {});

      tops.settle(term, at);
      term.with_power([&](auto power) {
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
        for (int64_t c = 0; c < classes; ++c) row[c] = row[c] * rival_pull - gain[c];
        row[tops.index[i]] = tops.p[i] * tops.gains[i] - at.pull[i];
        if (sums) {
          masses.along_classes(truth, at.target[i]);
          for (int64_t c = 0; c < classes; ++c) {
            const R size = std::abs(row[c]), share = size * truth[c];
            sums[c] += share;
            sums[classes + c] += size - share;
          }
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
  const R *positive = numbers<R>(sweep.positive), *gammas = term.gammas();
  const Walk<4> walk = Positions<R>::walk(sweep);
  const Input<R> logits = logits_of<R>(sweep);
  const Output<R> gradient = gradient_of<R>(sweep);

  each_tile(sweep, width, threads, [&](int64_t rank, auto&& tiles) {
    Scratch scratch(Positions<R>::bytes(width) + Tops<R>::bytes(width) +
                    2 * Scratch::size_of<R>(width * classes) + Scratch::size_of<R>(width));
    Positions<R> at(sweep, width, scratch);
    Tops<R> tops(width, scratch);
    R* z = scratch.take<R>(width * classes);  // later the shares
    R* y = scratch.take<R>(width * classes);  // later the gains
    R* truth = scratch.take<R>(width);
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
        const Vec<R> peak = load(at.peak + i);
        LongSum<R> mass;
        for (int64_t c = 0; c < classes; ++c) mass.add(exp<R>(load(z + c * width + i) - peak));
        store<R>(at.mass + i, mass.value());
      }

      tops.settle(term, at);
      term.with_power([&](auto power) {
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
      for (int64_t c = 0; c < classes; ++c) {
        R *row = z + c * width, *gain = y + c * width;
        for (int64_t i = 0; i < at.count; ++i)
          row[i] = row[i] * (tops.q[i] * tops.gains[i] + at.pull[i]) - gain[i];
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
