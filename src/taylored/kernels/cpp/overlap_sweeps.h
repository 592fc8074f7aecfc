// The two sweeps of the overlap losses over all tiles.
#pragma once

#include <vector>

#include "overlap_gradient.h"
#include "overlap_sums.h"

namespace taylored {

template <class R> void run_overlap(const Overlap& w) {
  const int64_t threads = useful_threads(w.threads, w.n * w.c * w.s);
  const int64_t width = Tile<R>::width_of(w), tiles = (w.s + width - 1) / width;
  const int64_t size = (w.squares ? 5 : 3) * (w.by_sample ? w.n : 1) * w.c;
  std::vector<double> sums(w.gradient ? 0 : threads * size);
  parallel(threads, w.n * tiles, [&](int64_t rank, int64_t first, int64_t last) {
    Scratch scratch(Tile<R>::bytes(w));
    Tile<R> tile(w, scratch);
    const Summing<R> sum(w, sums.data() + (w.gradient ? 0 : rank * size));
    const Differentiating<R> differentiate(w);
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
