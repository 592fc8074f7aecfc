// Softmax with one true class per position, for two layouts of the batch.
//
// The truth is taken out of the logits (see core/links/softmax.py). The log-sum-exp of the others
// gives the margin, and the margin gives the slope h. The gradient is -h on the truth, and h times
// the softmax over the others on them. A tile of positions lies in scratch memory. A batch larger
// than the cache is limited by memory: logits are read once, exponentials are computed once, and
// the gradient is written once.
#pragma once

#include "collect.h"
#include "truths.h"

namespace taylored {

// For contiguous classes: a row of the tile is a position. What there is one of per position is
// computed for all rows at once, as vectors.
template <class R> void hard_rows(const Sweep& sweep, int64_t threads, Collected& collected) {
  constexpr int64_t most = 16;
  const int64_t classes = sweep.c, length = round_up(classes, Simd<R>::lanes);
  const int64_t width = tile_width(length * sizeof(R), 1, most);
  const Term<R> term = term_of<R>(sweep);
  const Adjustment<R> adjustment(sweep);
  const Input<R> logits = logits_of<R>(sweep);
  const Output<R> gradient = gradient_of<R>(sweep);

  each_tile(sweep, width, threads, [&](int64_t rank, auto&& tiles) {
    Scratch scratch(Positions<R>::bytes(most) + Truths<R>::bytes(most) +
                    Scratch::size_of<R>(most) + Scratch::size_of<R>(length) +
                    Scratch::size_of<R>(width * length));
    Positions<R> at(sweep, most, scratch);
    Truths<R> truths(sweep, term, most, scratch);
    R *size = scratch.take<R>(most), *bias = scratch.take<R>(length);
    R* z = scratch.take<R>(width * length);
    double* sums = collected.sums(rank);
    NearSums<R> rivals(sums ? sums + classes : nullptr, classes);
    Total<R> total;
    const bool moved = adjustment.only_moves();
    const int64_t whole = classes / Simd<R>::lanes * Simd<R>::lanes;
    const R beyond = moved ? -std::numeric_limits<R>::infinity() : taken_out<R>;  // stays below
    const R* from[most];
    adjustment.pad_bias(bias, classes, length);

    tiles([&](int64_t first, int64_t last) {
      at.gather(first, last);
      truths.gather(at);
      // Each step goes over all rows before the next step. The ends of rows overlap, and by the
      // next step what was written has left the store buffer.
      for (int64_t i = 0; i < at.count; ++i) {
        R* row = z + i * length;
        if (at.counts_for_nothing(i)) {
          std::fill(row, row + length, R(0));
          from[i] = row;
          continue;
        }
        from[i] = moved ? logits.in_place(at.logits[i]) : nullptr;
        if (from[i]) {  // these need not be copied before they are moved
          logits.fetch(row + whole, at.logits[i] + whole, 1, classes - whole);
        } else {
          logits.fetch(row, at.logits[i], 1, classes);
          from[i] = row;
        }
        std::fill(row + classes, row + length, beyond);
      }
      if (moved) {
        for (int64_t i = 0; i < at.count; ++i)
          at.peak[i] = std::max(peak_of(from[i], whole), peak_of(z + i * length + whole, length - whole));
        for (int64_t i = 0; i < at.count; ++i) {
          const int64_t truth = truths.index[i];
          const R* at_truth = truth < whole ? from[i] : z + i * length;
          at.chosen[i] = adjustment.moved(at_truth[truth], truth, at.peak[i]);
          at.peak[i] = adjustment.move(z + i * length, from[i], classes, bias, at.peak[i], truth);
        }
        for (int64_t i = 0; i < at.count; ++i) z[i * length + truths.index[i]] = taken_out<R>;
      } else {
        adjustment.along_classes(z, at.count, classes, length, at.peak);
        for (int64_t i = 0; i < at.count; ++i) {
          R* row = z + i * length;
          at.chosen[i] = row[truths.index[i]];
          row[truths.index[i]] = taken_out<R>;
        }
        for (int64_t i = 0; i < at.count; ++i) at.peak[i] = peak_of(z + i * length, length);
      }
      truths.add_to(at, first);
      for (int64_t i = 0; i < at.count; ++i) {
        R* row = z + i * length;
        at.mass[i] = exponentials(row, length, at.peak[i],
                                  [=](Vec<R> e, int64_t c) { store<R>(row + c, e); });
      }

      truths.settle(at, total);
      at.write_each(first);

      const R* own = truths.own_pulls(at, first);
      if (sums) {
        for (int64_t i = 0; i < at.count; ++i) {
          sums[truths.index[i]] += std::abs(own[i]);
          size[i] = std::abs(at.pull[i] / at.mass[i]);
        }
        add_products(z, at.count, length, size, rivals.data());
        rivals.added(at.count);
      }
      if (gradient) {
        for (int64_t i = 0; i < at.count; ++i) {
          const R scale = at.pull[i] / (at.mass[i] * adjustment.temperature());
          adjustment.scale_along_classes(z + i * length, classes);
          gradient.put(at.logits[i], 1, classes, z + i * length, scale);
        }
        gradient.scatter(truths.places(at, 1), at.count, truths.scaled(own, at, adjustment),
                         -1 / adjustment.temperature());
      }
    });
    collected.set_total(rank, total.value());
  });
}

// For contiguous positions: a row of the tile is a class. This works for any layout. It is faster
// where neighbouring positions are neighbours in memory, and for few classes in every layout.
template <class R> void hard_columns(const Sweep& sweep, int64_t threads, Collected& collected) {
  constexpr int64_t lanes = Simd<R>::lanes, most = 512;
  const int64_t classes = sweep.c;
  const int64_t width = tile_width(classes * sizeof(R), lanes, most);
  const Term<R> term = term_of<R>(sweep);
  const Adjustment<R> adjustment(sweep);
  const Walk<4> walk = Positions<R>::walk(sweep);
  const Input<R> logits = logits_of<R>(sweep);
  const Output<R> gradient = gradient_of<R>(sweep);

  each_tile(sweep, width, threads, [&](int64_t rank, auto&& tiles) {
    Scratch scratch(Positions<R>::bytes(width) + Truths<R>::bytes(width) +
                    Scratch::size_of<R>(width) + Scratch::size_of<R>(width * classes));
    Positions<R> at(sweep, width, scratch);
    Truths<R> truths(sweep, term, width, scratch);
    R* scale = scratch.take<R>(width);
    R* z = scratch.take<R>(width * classes);
    double* sums = collected.sums(rank);
    Total<R> total;

    tiles([&](int64_t first, int64_t last) {
      at.gather(first, last);
      truths.gather(at);
      walk.runs(first, last, [&](int64_t done, int64_t length, const int64_t* from) {
        for (int64_t c = 0; c < classes; ++c)
          logits.fetch(z + c * width + done, from[0] + c * sweep.z_c, walk.step(0), length);
      });
      for (int64_t c = 0; c < classes; ++c) {
        at.silence(z + c * width);
        std::fill(z + c * width + at.count, z + c * width + at.padded, R(0));
      }
      adjustment.along_positions(z, classes, width, at.padded, at.peak);
      for (int64_t i = 0; i < at.count; ++i) {
        R& truth = z[truths.index[i] * width + i];
        at.chosen[i] = truth;
        truth = taken_out<R>;
      }
      truths.add_to(at, first);
      for (int64_t i = 0; i < at.padded; i += lanes) {
        Vec<R> peak = spread<R>(taken_out<R>);
        LongSum<R> mass;
        for (int64_t c = 0; c < classes; ++c) peak = max<R>(load(z + c * width + i), peak);
        for (int64_t c = 0; c < classes; ++c) {
          const Vec<R> e = exp<R>(load(z + c * width + i) - peak);
          store<R>(z + c * width + i, e);
          mass.add(e);
        }
        store<R>(at.peak + i, peak);
        store<R>(at.mass + i, mass.value());
      }

      truths.settle(at, total);
      at.write_each(first);

      const R* own = truths.own_pulls(at, first);
      if (sums) {
        for (int64_t i = 0; i < at.count; ++i) {
          sums[truths.index[i]] += std::abs(own[i]);
          scale[i] = std::abs(at.pull[i] / at.mass[i]);
        }
        std::fill(scale + at.count, scale + at.padded, R(0));
        for (int64_t c = 0; c < classes; ++c) {
          Total<R> rivals;
          for (int64_t i = 0; i < at.padded; i += lanes)
            rivals.add(load(z + c * width + i) * load(scale + i));
          sums[classes + c] += rivals.value();
        }
      }
      if (gradient) {
        for (int64_t i = 0; i < at.count; ++i)
          scale[i] = at.pull[i] / (at.mass[i] * adjustment.temperature());
        adjustment.scale_along_positions(z, classes, width, at.padded);
        walk.runs(first, last, [&](int64_t done, int64_t length, const int64_t* to) {
          for (int64_t c = 0; c < classes; ++c)
            gradient.put_products(to[0] + c * sweep.z_c, walk.step(0), length, z + c * width + done,
                                  scale + done);
        });
        gradient.scatter(truths.places(at, sweep.z_c), at.count,
                         truths.scaled(own, at, adjustment), -1 / adjustment.temperature());
      }
    });
    collected.set_total(rank, total.value());
  });
}

}  // namespace taylored
