// What a sweep collects besides the gradient: the sum of the values, and the gradients per class.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "simd.h"
#include "sweep.h"

namespace taylored {

// Sums per class over some positions, in the computing type. They join those in double before a
// float would lose digits: an addition in double takes four times as long.
template <class R> class NearSums {
 public:
  NearSums(double* sums, int64_t classes) : sums_(sums), near_(sums ? padded(classes) : 0) {
    classes_ = classes;
  }
  NearSums(const NearSums&) = delete;
  ~NearSums() { join(); }

  // One number for each class, and room for whole vectors.
  R* data() { return near_.data(); }

  // Says that so many positions were added.
  void added(int64_t positions) {
    since_ += positions;
    if (since_ >= most) join();
  }

 private:
  static constexpr int64_t most = 64;

  static int64_t padded(int64_t classes) { return classes + Simd<R>::lanes; }

  void join() {
    since_ = 0;
    if (!sums_) return;
    for (int64_t c = 0; c < classes_; ++c) sums_[c] += near_[c];
    std::fill(near_.begin(), near_.end(), R(0));
  }

  double* sums_;
  std::vector<R> near_;
  int64_t classes_ = 0, since_ = 0;
};

// Every thread has a part of its own. They are added up in the order of the threads, so that every
// run gives the same result.
class Collected {
 public:
  Collected(const Sweep& sweep, int64_t threads)
      : sweep_(sweep),
        totals_(threads),
        strange_(threads),
        sums_(sweep.sums ? threads * 2 * sweep.c : 0) {}

  // The thread's part of the sums per class: c sums where the class is the truth, then c sums where
  // it is not. 0 if the sums are not wanted.
  double* sums(int64_t rank) { return sums_.empty() ? nullptr : &sums_[rank * 2 * sweep_.c]; }

  void set_total(int64_t rank, double total) { totals_[rank] = total; }

  // Says that the thread has met a truth which is none.
  void set_strange(int64_t rank) { strange_[rank] = 1; }

  bool strange() const {
    return std::any_of(strange_.begin(), strange_.end(), [](char one) { return one != 0; });
  }

  void hand_over() const {
    if (sweep_.total) {
      *sweep_.total = 0.0;
      for (double total : totals_) *sweep_.total += total;
    }
    const int64_t width = 2 * sweep_.c;
    for (auto part = sums_.begin(); part != sums_.end(); part += width)
      for (int64_t i = 0; i < width; ++i) sweep_.sums[i] += part[i];
  }

 private:
  const Sweep& sweep_;
  std::vector<double> totals_;
  std::vector<char> strange_;
  std::vector<double> sums_;
};

}  // namespace taylored
