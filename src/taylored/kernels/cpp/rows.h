// From class indices to one coefficient per position, as core/plan/prepare.py does in several
// passes.
#pragma once

#include <cstdint>

namespace taylored {

enum Mean : int64_t { no_mean = 0, mean = 1, batch_mean = 2, element_mean = 3 };

// Number of positions that are not ignored; -1 if one of them has a class without a column.
inline int64_t kept_of(const int64_t* target, int64_t count, bool ignores, int64_t ignore,
                       int64_t classes) {
  int64_t kept = 0, strays = 0;  // no early exit: so that compilers make vector code of the loop
  for (int64_t i = 0; i < count; ++i) {
    const bool here = !ignores || target[i] != ignore;
    const bool column = target[i] >= 0 && target[i] < classes;
    kept += here;
    strays += here && !column;
  }
  return strays ? -1 : kept;
}

// Writes a class and a coefficient for each position: 0 and 0 if it is ignored, else its class, and
// its weight over the denominator.
template <class R>
void rows_of(const int64_t* target, int64_t count, bool ignores, int64_t ignore, int64_t classes,
                const R* weight, int64_t kind, int64_t* clean, R* rows) {
  double kept = 0.0, weights = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    const bool here = !ignores || target[i] != ignore;
    const int64_t truth = here ? target[i] : 0;
    const R row = here ? (weight ? weight[truth] : R(1)) : R(0);
    clean[i] = truth;
    rows[i] = row;
    kept += here;
    weights += row;
  }
  const double denominator = kind == no_mean        ? 1.0
                             : kind == mean         ? weights
                             : kind == element_mean ? kept * static_cast<double>(classes)
                                                    : kept;
  const R divisor = static_cast<R>(denominator == 0.0 ? 1.0 : denominator);
  if (kind != no_mean)
    for (int64_t i = 0; i < count; ++i) rows[i] /= divisor;
}

}  // namespace taylored
