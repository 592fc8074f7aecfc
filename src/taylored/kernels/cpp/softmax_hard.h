// Softmax with one true class per position, for two layouts of the batch.
//
// The truth is taken out of the logits (see core/links/softmax.py). The log-sum-exp of the others
// gives the margin, and the margin gives the slope h. The gradient is -h on the truth, and h times
// the softmax over the others on them. A tile of positions lies in scratch memory. A batch larger
// than the cache is limited by memory: logits are read once, exponentials are computed once, and
// the gradient is written once.
#pragma once

#include "collect.h"
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
    R *size = scratch.take<R>(most), *rivals = scratch.take<R>(length);
    R* z = scratch.take<R>(width * length);
    double* sums = collected.sums(rank);
    Total<R> total;

    tiles([&](int64_t first, int64_t last) {
      at.gather(first, last);
      truths.gather(at);
      // Each step goes over all rows before the next step. The ends of rows overlap, and by the
      // next step what was written has left the store buffer.
      for (int64_t i = 0; i < at.count; ++i) {
        R* row = z + i * length;
        if (at.counts_for_nothing(i)) {
          std::fill(row, row + length, R(0));
          continue;
        }
        logits.fetch(row, at.logits[i], 1, classes);
        std::fill(row + classes, row + length, taken_out<R>);
      }
      adjustment.along_classes(z, at.count, classes, length, at.peak);
      for (int64_t i = 0; i < at.count; ++i) {
        R* row = z + i * length;
        at.chosen[i] = row[truths.index[i]];
        row[truths.index[i]] = taken_out<R>;
      }
      truths.add_to(at, first);
      for (int64_t i = 0; i < at.count; ++i) at.peak[i] = peak_of(z + i * length, length);
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
        // Added up over the rows of the tile first, and then in double over the tiles.
        for (int64_t c = 0; c < length; c += Simd<R>::lanes) {
          Vec<R> negative{};
          for (int64_t i = 0; i < at.count; ++i) negative += load(z + i * length + c) * size[i];
          store<R>(rivals + c, negative);
        }
        for (int64_t c = 0; c < classes; ++c) sums[classes + c] += rivals[c];
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
