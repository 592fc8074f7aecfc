// Walks along the three axes (n, c, s) of several arrays at once, in runs with constant strides.
#pragma once

#include <algorithm>
#include <cstdint>

namespace taylored {

// The axes are ordered as in the memory of the first array. Neighbouring axes are merged where a
// single stride covers both in every array: a plain (N, C) batch without anything per class is one
// run.
template <int arrays> class Walk {
 public:
  // strides[k][axis] belongs to array k; an axis of extent 1 is left out.
  Walk(const int64_t (&extents)[3], const int64_t (&strides)[arrays][3]) {
    int order[3] = {0, 1, 2};
    std::stable_sort(order, order + 3, [&](int a, int b) { return strides[0][a] > strides[0][b]; });
    for (int axis : order) {
      if (extents[axis] == 1) continue;
      if (axes_ > 0 && mergeable(strides, axis, extents[axis])) {
        extent_[axes_ - 1] *= extents[axis];
      } else {
        extent_[axes_++] = extents[axis];
      }
      for (int k = 0; k < arrays; ++k) stride_[k][axes_ - 1] = strides[k][axis];
    }
    if (axes_ == 0) extent_[axes_++] = 1;
  }

  int64_t count() const {
    int64_t count = 1;
    for (int axis = 0; axis < axes_; ++axis) count *= extent_[axis];
    return count;
  }

  // The stride of array k within a run.
  int64_t step(int k) const { return stride_[k][axes_ - 1]; }

  // Whether array k is the same number everywhere.
  bool constant(int k) const {
    for (int axis = 0; axis < axes_; ++axis)
      if (stride_[k][axis] != 0) return false;
    return true;
  }

  // Calls work(done, length, offsets) for every run of [first, last): the number of steps before
  // it, its own number of steps, and where it begins in each array.
  template <class Work> void runs(int64_t first, int64_t last, Work&& work) const {
    const int inner = axes_ - 1;
    int64_t place[3], offsets[arrays] = {};
    for (int64_t axis = inner, rest = first; axis >= 0; rest /= extent_[axis--]) {
      place[axis] = rest % extent_[axis];
      for (int k = 0; k < arrays; ++k) offsets[k] += place[axis] * stride_[k][axis];
    }
    for (int64_t at = first; at < last;) {
      const int64_t length = std::min(last - at, extent_[inner] - place[inner]);
      work(at - first, length, offsets);
      at += length;
      // Advances like an odometer: divisions would cost more than the work on a short run.
      for (int k = 0; k < arrays; ++k) offsets[k] += length * stride_[k][inner];
      place[inner] += length;
      for (int axis = inner; axis > 0 && place[axis] == extent_[axis]; --axis) {
        for (int k = 0; k < arrays; ++k)
          offsets[k] += stride_[k][axis - 1] - extent_[axis] * stride_[k][axis];
        place[axis] = 0;
        ++place[axis - 1];
      }
    }
  }

 private:
  bool mergeable(const int64_t (&strides)[arrays][3], int axis, int64_t extent) const {
    for (int k = 0; k < arrays; ++k)
      if (stride_[k][axes_ - 1] != strides[k][axis] * extent) return false;
    return true;
  }

  int axes_ = 0;
  int64_t extent_[3] = {};
  int64_t stride_[arrays][3] = {};
};

}  // namespace taylored
