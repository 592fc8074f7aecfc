// The sweep of core/engine/executor.py as native code for the CPU: loss and gradient of a softmax
// or sigmoid loss in one pass over the logits. Python loads this library with ctypes. It does not
// depend on torch, and runs on torch's threads.
//
//     sweep.h         the record of a call
//     simd.h          vectors; exp, log, log1p
//     term.h          the loss as a function of the margin: value and slope
//     storage.h       dtypes in and out of scratch memory
//     walk.h          strided axes as long runs
//     pages.h         fewer page faults for a fresh gradient
//     threads.h       torch's OpenMP team, scratch memory per thread
//     truths.h        the one true class of a position
//     softmax_hard.h, softmax_soft.h, sigmoid.h, rows.h    the kernels
//     overlap.h, overlap_sweeps.h    the record and the kernels of the overlap losses

#include "overlap_sweeps.h"
#include "pages.h"
#include "rows.h"
#include "sigmoid.h"
#include "softmax_hard.h"
#include "softmax_soft.h"
#include "sweep.h"

namespace taylored {
namespace {

template <class R> void run(const Sweep& sweep, int64_t threads, Collected& collected) {
  if (sweep.link == sigmoid) return Sigmoid<R>(sweep).run(threads, collected);
  // With fewer classes, rows would consist of half-empty vectors. Found by timing.
  constexpr int64_t many_classes = Simd<R>::lanes + 8;
  const bool rows = sweep.z_c == 1 && sweep.c >= many_classes;
  if (sweep.target_kind == index && sweep.smoothing == 0.0)
    return (rows ? hard_rows<R> : hard_columns<R>)(sweep, threads, collected);
  (rows ? soft_rows<R> : soft_columns<R>)(sweep, threads, collected);
}

// Positions or classes that share their memory cannot have gradients of their own.
bool overlapping(const Sweep& w) {
  return (w.n > 1 && w.z_n == 0) || (w.c > 1 && w.z_c == 0) || (w.s > 1 && w.z_s == 0);
}

bool supported(const Sweep& w) {
  if (w.n < 1 || w.c < 1 || w.s < 1 || (w.gradient && overlapping(w))) return false;
  if (w.na > Term<float>::most_coefficients || w.nb > Term<float>::most_coefficients) return false;
  if (w.skipped < 0 || w.skipped > Remainder<float>::most) return false;
  if (w.dtype > f16 || w.target_dtype > i32) return false;
  return w.g_dtype == w.dtype || (w.dtype == f16 && w.g_dtype == f32) || !w.gradient;
}

size_t gradient_bytes(const Sweep& w) {
  const int64_t each = w.g_dtype == f64 ? 8 : w.g_dtype == f32 ? 4 : 2;
  return static_cast<size_t>(w.n * w.c * w.s * each);
}

}  // namespace
}  // namespace taylored

extern "C" int taylored_abi() { return taylored::abi; }

// Returns 0 when done, 1 for a sweep that this library does not run; then nothing was written. 2 if
// a truth of the sigmoid link is outside [0, 1]; then what was written is not to be used.
extern "C" int taylored_sweep(const Sweep* sweep) {
  using namespace taylored;
  if (!supported(*sweep)) return 1;
  const int64_t threads = useful_threads(sweep->threads, sweep->n * sweep->c * sweep->s);
  if (sweep->gradient && sweep->gradient != sweep->logits)
    prefer_large_pages(sweep->gradient, gradient_bytes(*sweep));
  Collected collected(*sweep, threads);
  (sweep->dtype == f64 ? run<double> : run<float>)(*sweep, threads, collected);
  collected.hand_over();
  return collected.strange() ? 2 : 0;
}

// The sums of an overlap loss, or its gradient. Returns 1 for a record that it does not run.
extern "C" int taylored_overlap(const Overlap* overlap) {
  using namespace taylored;
  const Overlap& w = *overlap;
  if (w.n < 1 || w.c < 1 || w.s < 1 || w.dtype > f16 || w.target_dtype > i32) return 1;
  if (w.gradient) {
    if (w.g_dtype != w.dtype) return 1;
    prefer_large_pages(w.gradient, static_cast<size_t>(w.n * w.c * w.s) *
                                       (w.dtype == f64 ? 8 : w.dtype == f32 ? 4 : 2));
  }
  (w.dtype == f64 ? run_overlap<double> : run_overlap<float>)(w);
  return 0;
}

extern "C" int64_t taylored_kept(const int64_t* target, int64_t count, int64_t ignores,
                                 int64_t ignore, int64_t classes) {
  return taylored::kept_of(target, count, ignores, ignore, classes);
}

extern "C" void taylored_rows(const int64_t* target, int64_t count, int64_t ignores,
                              int64_t ignore, int64_t classes, const float* weight, int64_t mean,
                              int64_t* clean, float* rows) {
  taylored::rows_of(target, count, ignores, ignore, classes, weight, mean, clean, rows);
}

extern "C" void taylored_rows_f64(const int64_t* target, int64_t count, int64_t ignores,
                                  int64_t ignore, int64_t classes, const double* weight,
                                  int64_t mean, int64_t* clean, double* rows) {
  taylored::rows_of(target, count, ignores, ignore, classes, weight, mean, clean, rows);
}

// For the tests: one function of simd.h (0 exp, 1 log, 2 log1p) of `count` numbers in f32 or f64, a
// multiple of the vector length.
extern "C" void taylored_probe(int64_t function, int64_t dtype, int64_t count, const void* from,
                               void* to) {
  using namespace taylored;
  const auto probe = [=](auto kind) {
    using R = decltype(kind);
    const R* x = static_cast<const R*>(from);
    R* y = static_cast<R*>(to);
    for (int64_t i = 0; i < count; i += Simd<R>::lanes) {
      const Vec<R> v = load(x + i);
      store<R>(y + i, function == 0 ? exp<R>(v) : function == 1 ? log<R>(v) : log1p<R>(v));
    }
  };
  dtype == f64 ? probe(double{}) : probe(float{});
}
