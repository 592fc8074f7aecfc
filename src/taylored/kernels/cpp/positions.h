// Everything of a softmax tile that there is one of per position.
#pragma once

#include "plan.h"
#include "tile_rows.h"
#include "walk.h"

namespace taylored {

template <class R> class Positions {
 public:
  // The walk skips the class axis, which lies inside a tile.
  static Walk<4> walk(const Sweep& w) {
    return {{w.n, 1, w.s},
            {{w.z_n, 0, w.z_s}, {w.t_n, 0, w.t_s}, {w.r_n, 0, w.r_s}, {w.e_n, 0, w.e_s}}};
  }

  static size_t bytes(int64_t width) {
    return 2 * Scratch::size_of<int64_t>(width) + 6 * Scratch::size_of<R>(width);
  }

  int64_t count = 0, padded = 0;  // positions of this tile; rounded up to whole vectors
  bool idle = false;              // whether one of them counts for nothing
  int64_t *logits, *target;       // offset of each position in the two arrays
  R* coefficient;
  R *chosen, *peak, *mass;  // the chosen logit; largest, and sum of exponentials, of the others
  R *value, *pull;          // value and slope, times the coefficient

  Positions(const Sweep& sweep, int64_t width, Scratch& scratch)
      : logits(scratch.take<int64_t>(width)),
        target(scratch.take<int64_t>(width)),
        coefficient(scratch.take<R>(width)),
        chosen(scratch.take<R>(width)),
        peak(scratch.take<R>(width)),
        mass(scratch.take<R>(width)),
        value(scratch.take<R>(width)),
        pull(scratch.take<R>(width)),
        walk_(walk(sweep)),
        rows_(numbers<R>(sweep.rows)),
        each_(static_cast<R*>(sweep.each)) {}

  // Finds the offsets of the positions [first, last) of the walk.
  void gather(int64_t first, int64_t last) {
    walk_.runs(first, last, [&](int64_t done, int64_t length, const int64_t* at) {
      for (int64_t i = 0; i < length; ++i) {
        logits[done + i] = at[0] + i * walk_.step(0);
        target[done + i] = at[1] + i * walk_.step(1);
        coefficient[done + i] = rows_[at[2] + i * walk_.step(2)];
      }
    });
    count = last - first;
    padded = round_up(count, Simd<R>::lanes);
    idle = false;
    for (int64_t i = 0; i < count; ++i) idle |= counts_for_nothing(i);
    // Lanes beyond the last position compute with harmless numbers, and a coefficient of 0.
    for (int64_t i = count; i < padded; ++i) {
      coefficient[i] = chosen[i] = peak[i] = R(0);
      mass[i] = R(1);
    }
  }

  // Its logits are not read, because 0 times NaN or infinity would be NaN.
  bool counts_for_nothing(int64_t i) const { return coefficient[i] == R(0); }

  // Writes 0 over one class of the positions that count for nothing.
  void silence(R* row) const {
    if (!idle) return;
    for (int64_t i = 0; i < count; ++i) row[i] = counts_for_nothing(i) ? R(0) : row[i];
  }

  // The margin of the chosen class against all others. That of +inf is NaN, as its softmax is.
  TAYLORED_INLINE Vec<R> margin(int64_t i) const {
    const Vec<R> top = load(chosen + i);
    const Vec<R> found = (top - load(peak + i)) - log<R>(load(mass + i));
    const R nan = std::numeric_limits<R>::quiet_NaN();
    return top > std::numeric_limits<R>::max() ? spread<R>(nan) : found;
  }

  void write_each(int64_t first) const {
    if (!each_) return;
    walk_.runs(first, first + count, [&](int64_t done, int64_t length, const int64_t* at) {
      for (int64_t i = 0; i < length; ++i) each_[at[3] + i * walk_.step(3)] = value[done + i];
    });
  }

 private:
  const Walk<4> walk_;
  const R* rows_;
  R* each_;
};

// Distributes the positions over the threads, in tiles of `width`. Each thread calls work(rank,
// tiles) once, which can set up and finish; tiles(one) calls one(first, last) for each of its
// tiles.
template <class Work>
void each_tile(const Sweep& sweep, int64_t width, int64_t threads, Work&& work) {
  const int64_t positions = sweep.n * sweep.s;
  const int64_t tiles = (positions + width - 1) / width;
  parallel(threads, tiles, [&](int64_t rank, int64_t first_tile, int64_t last_tile) {
    work(rank, [&](auto&& one) {
      for (int64_t tile = first_tile; tile < last_tile; ++tile)
        one(tile * width, std::min((tile + 1) * width, positions));
    });
  });
}

}  // namespace taylored
