// Numbers in the dtypes of the arrays, and the loops that copy them into scratch memory and back.
//
// The loop is chosen once, when a sweep begins, and called through a pointer for a line at a time.
// Kernels are therefore compiled once per computing type, not once per dtype.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "simd.h"
#include "sweep.h"

namespace taylored {

template <class To, class From> inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

// Conversions without branches, which compilers turn into vector code. Conversions to half
// precision round to nearest, ties to even, and keep infinities and NaN.

inline float widen(BFloat16 x) { return bits_as<float>(uint32_t(x.bits) << 16); }

inline float widen(Float16 x) {
  const uint32_t magnitude = uint32_t(x.bits & 0x7fff) << 13;
  const uint32_t sign = uint32_t(x.bits & 0x8000) << 16;
  // The exponents differ by 112. The product also normalises numbers that are subnormal in half
  // precision.
  const uint32_t finite = bits_as<uint32_t>(bits_as<float>(magnitude) * 0x1p112f);
  const uint32_t special = magnitude | 0x7f800000;
  return bits_as<float>((magnitude < 0x0f800000 ? finite : special) | sign);
}

template <class T> inline T widen(T x) { return x; }  // arithmetic types

inline void narrow(float x, BFloat16& to) {
  const uint32_t bits = bits_as<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40;
  to.bits = uint16_t((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

inline void narrow(float x, Float16& to) {
  const uint32_t bits = bits_as<uint32_t>(x), size = bits & 0x7fffffff;
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t normal = (size - (112u << 23) + 0xfff + ((size >> 13) & 1)) >> 13;
  // At 1/2 the last bit of a float is the smallest half-precision number: the addition rounds.
  const uint32_t subnormal = bits_as<uint32_t>(bits_as<float>(size) + 0.5f) - 0x3f000000;
  const uint32_t special = size > 0x7f800000 ? 0x7e00 : 0x7c00;
  const uint32_t finite = size < (113u << 23) ? subnormal : normal;
  to.bits = uint16_t((size < (143u << 23) ? finite : special) | sign);
}

template <class R> inline void narrow(R x, R& to) { to = x; }

// Calls step(i, place) for `count` numbers that lie `stride` apart. The loop for a stride of 1 is
// written out, so that it becomes vector code.
template <class Step> inline void strided(int64_t stride, int64_t count, Step step) {
  if (stride == 1)
    for (int64_t i = 0; i < count; ++i) step(i, i);
  else
    for (int64_t i = 0; i < count; ++i) step(i, i * stride);
}

// How many bytes a number takes.
inline int64_t bytes_of(int64_t dtype) {
  switch (dtype) {
    case f64: case i64: return 8;
    case f32: case i32: return 4;
    case bf16: case f16: return 2;
  }
  return 1;
}

// Some bytes from a start, perhaps beyond the array: an address to ask for, not to read.
inline const void* place_of(const void* start, int64_t bytes) {
  return reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(start) + bytes);
}

// An array to read, of any dtype; offsets and strides in elements.
template <class R> class Input {
 public:
  Input(const void* start, int64_t dtype)
      : start_(start), bytes_(bytes_of(dtype)), fetch_(loop(dtype)) {}

  // Where contiguous numbers of the computing type lie; 0 for other types.
  const R* in_place(int64_t offset) const {
    return fetch_ == fetch_as<R> ? static_cast<const R*>(start_) + offset : nullptr;
  }

  // Copies a line of numbers to contiguous memory.
  void fetch(R* to, int64_t offset, int64_t stride, int64_t count) const {
    fetch_(to, start_, offset, stride, count);
  }

  // Asks for the memory of a number that will be read soon; it may be beyond the array.
  TAYLORED_INLINE void soon(int64_t offset) const {
    __builtin_prefetch(place_of(start_, offset * bytes_), 0);
  }

 private:
  using Loop = void (*)(R*, const void*, int64_t, int64_t, int64_t);

  template <class T>
  static void fetch_as(R* __restrict to, const void* start, int64_t offset, int64_t stride,
                       int64_t count) {
    const T* from = static_cast<const T*>(start) + offset;
    if (stride == 0) {  // one number for all: a weight of the position, say
      std::fill_n(to, count, static_cast<R>(widen(*from)));
      return;
    }
    strided(stride, count,
            [=](int64_t i, int64_t place) { to[i] = static_cast<R>(widen(from[place])); });
  }

  static Loop loop(int64_t dtype) {
    switch (dtype) {
      case f32: return fetch_as<float>;
      case f64: return fetch_as<double>;
      case bf16: return fetch_as<BFloat16>;
      case f16: return fetch_as<Float16>;
      case u8: return fetch_as<uint8_t>;
      case i64: return fetch_as<int64_t>;
      case i32: return fetch_as<int32_t>;
    }
    return nullptr;
  }

  const void* start_;
  int64_t bytes_;
  Loop fetch_;
};

// An array to write, the gradient. The numbers come from scratch memory, never from the array.
template <class R> class Output {
 public:
  Output(void* start, int64_t dtype)
      : start_(start), bytes_(bytes_of(dtype)), loops_(loops(dtype)) {}

  explicit operator bool() const { return start_ != nullptr; }

  // Writes a line of numbers, all times one factor.
  void put(int64_t offset, int64_t stride, int64_t count, const R* from, R factor) const {
    loops_.put(start_, offset, stride, count, from, factor);
  }

  // Writes a line of numbers, each times its own factor.
  void put_products(int64_t offset, int64_t stride, int64_t count, const R* from,
                    const R* factors) const {
    loops_.put_products(start_, offset, stride, count, from, factors);
  }

  // Asks for the memory of a number that will be written soon.
  TAYLORED_INLINE void soon(int64_t offset) const {
    __builtin_prefetch(place_of(start_, offset * bytes_), 1);
  }

  // Writes single numbers, all times one factor.
  void scatter(const int64_t* offsets, int64_t count, const R* from, R factor) const {
    loops_.scatter(start_, offsets, count, from, factor);
  }

 private:
  struct Loops {
    void (*put)(void*, int64_t, int64_t, int64_t, const R*, R);
    void (*put_products)(void*, int64_t, int64_t, int64_t, const R*, const R*);
    void (*scatter)(void*, const int64_t*, int64_t, const R*, R);
  };

  template <class T>
  static void put_as(void* start, int64_t offset, int64_t stride, int64_t count, const R* from,
                     R factor) {
    T* __restrict to = static_cast<T*>(start) + offset;
    strided(stride, count, [=](int64_t i, int64_t place) { narrow(from[i] * factor, to[place]); });
  }

  template <class T>
  static void put_products_as(void* start, int64_t offset, int64_t stride, int64_t count,
                              const R* from, const R* factors) {
    T* __restrict to = static_cast<T*>(start) + offset;
    strided(stride, count,
            [=](int64_t i, int64_t place) { narrow(from[i] * factors[i], to[place]); });
  }

  template <class T>
  static void scatter_as(void* start, const int64_t* offsets, int64_t count, const R* from,
                         R factor) {
    T* to = static_cast<T*>(start);
    for (int64_t i = 0; i < count; ++i) narrow(from[i] * factor, to[offsets[i]]);
  }

  template <class T> static constexpr Loops loops_of() {
    return {put_as<T>, put_products_as<T>, scatter_as<T>};
  }

  static Loops loops(int64_t dtype) {
    if constexpr (sizeof(R) == sizeof(float)) {
      if (dtype == bf16) return loops_of<BFloat16>();
      if (dtype == f16) return loops_of<Float16>();
    }
    return loops_of<R>();
  }

  void* start_;
  int64_t bytes_;
  Loops loops_;
};

}  // namespace taylored
