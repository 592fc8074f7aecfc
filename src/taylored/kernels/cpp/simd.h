// Vectors as wide as a register, and the functions that every loss needs: exp, log and log(1 + e).
//
// The compilers' vector extension turns one source into AVX-512, AVX2, SSE or NEON code. The
// functions are our own because libm's take one number at a time, and because our arguments are
// restricted: exp gets numbers <= 0, and log1p numbers in [0, 1]. All return NaN for NaN.
//
// The polynomials are minimax fits (Remez) on the reduced ranges that are stated next to them. With
// rounding the error is at most 2 ulp, which tests/kernels/test_native_math.py measures.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#define TAYLORED_INLINE inline __attribute__((always_inline))
// For loops that exist once for each power of a term: in one function they would share registers.
#define TAYLORED_APART __attribute__((noinline))

namespace taylored {

// Not wider than the registers of the target, or compilers use single numbers.
#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class R> struct Simd;

template <> struct Simd<float> {
  static constexpr int lanes = vector_bytes / 4;
  typedef float V __attribute__((vector_size(vector_bytes)));
  typedef uint32_t U __attribute__((vector_size(vector_bytes)));
  using Int = int32_t;
  typedef Int I __attribute__((vector_size(vector_bytes)));
  typedef double Wide __attribute__((vector_size(2 * vector_bytes)));  // the same lanes in double

  static TAYLORED_INLINE I numbered() {  // 0, 1, 2, ...
    I numbers{};
    for (int lane = 0; lane < lanes; ++lane) numbers[lane] = lane;
    return numbers;
  }

  static constexpr int mantissa_bits = 23;
  static constexpr uint32_t one_bits = 0x3f800000, half_root_bits = 0x3f3504f3;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  static constexpr float least_exponent = -87.33654f;  // log of the smallest normal number
  static constexpr float ln2_high = 0.693359375f;      // few bits, so that n * ln2_high is exact
  static constexpr float ln2_low = -2.12194440e-4f;

  // exp(r) = 1 + r + r^2 P(r), |r| <= log(2) / 2, relative error 3.1e-9.
  static constexpr float exp_tail[] = {0.49999993412517f, 0.16666520107732f, 0.0416683942068260f,
                                       0.00836878041924302f, 0.00138144672981421f};

  // log(1 + f) = f - f^2 / 2 + f^3 P(f), sqrt(1/2) <= 1 + f <= sqrt(2), relative error 5.9e-9.
  static TAYLORED_INLINE V log1p_reduced(V f) {
    constexpr float tail[] = {0.333333317080322f,  -0.250008210324287f, 0.200012268492149f,
                              -0.166233573624428f, 0.142017584895272f,  -0.131601827743132f,
                              0.127615745182101f,  -0.0763449279612f};
    V sum = V{} + tail[7];
    for (int j = 6; j >= 0; --j) sum = sum * f + tail[j];
    const V square = f * f;
    return f + (square * f * sum - 0.5f * square);
  }
};

template <> struct Simd<double> {
  static constexpr int lanes = vector_bytes / 8;
  typedef double V __attribute__((vector_size(vector_bytes)));
  typedef uint64_t U __attribute__((vector_size(vector_bytes)));
  using Int = int64_t;
  typedef Int I __attribute__((vector_size(vector_bytes)));
  typedef V Wide;

  static TAYLORED_INLINE I numbered() {
    I numbers{};
    for (int lane = 0; lane < lanes; ++lane) numbers[lane] = lane;
    return numbers;
  }

  static constexpr int mantissa_bits = 52;
  static constexpr uint64_t one_bits = 0x3ff0000000000000, half_root_bits = 0x3fe6a09e667f3bcd;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double least_exponent = -708.3964185322641;
  static constexpr double ln2_high = 6.93145751953125e-1;
  static constexpr double ln2_low = 1.42860682030941723212e-6;

  // Relative error 3.7e-18.
  static constexpr double exp_tail[] = {0.500000000000001072,     0.166666666666664102,
                                        0.0416666666665291876,    0.0083333333334956262,
                                        0.00138888889439229073,   0.000198412695047618085,
                                        0.0000248014927625225385, 2.75575873444259279e-6,
                                        2.76303787155988319e-7,   2.49999648399501969e-8};

  // With s = f / (2 + f): log(1 + f) = 2 artanh(s) = f - s (f - s^2 P(s^2)), error 1.3e-18. One
  // division is worth it here, where a polynomial in f would need twenty terms.
  static TAYLORED_INLINE V log1p_reduced(V f) {
    constexpr double tail[] = {0.66666666666667349,  0.39999999999411091,  0.285714287432629665,
                               0.222221984759588482, 0.181835697411200493, 0.153139032156990221,
                               0.147975079955722892};
    const V s = f / (2.0 + f), square = s * s;
    V sum = V{} + tail[6];
    for (int j = 5; j >= 0; --j) sum = sum * square + tail[j];
    return f - s * (f - square * sum);
  }
};

template <class R> using Vec = typename Simd<R>::V;

template <class R> TAYLORED_INLINE Vec<R> load(const R* from) {
  Vec<R> v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

template <class R> TAYLORED_INLINE void store(R* to, Vec<R> v) { std::memcpy(to, &v, sizeof v); }

template <class R> TAYLORED_INLINE Vec<R> spread(R value) {
  return value - Vec<R>{};  // a difference, because adding 0 loses the sign of -0.0
}

// exp(x) for x <= 0. Results below the smallest normal number are 0: such a share or probability
// contributes nothing, and subnormal numbers are slow on many machines.
template <class R> TAYLORED_INLINE Vec<R> exp(Vec<R> x) {
  using S = Simd<R>;
  constexpr R log2_e = R(1.44269504088896340736);
  constexpr int degree = sizeof S::exp_tail / sizeof(R);
  const Vec<R> shifted = x * log2_e + S::magic;
  const Vec<R> n = shifted - S::magic;
  const Vec<R> r = (x - n * S::ln2_high) - n * S::ln2_low;
  Vec<R> sum = spread<R>(S::exp_tail[degree - 1]);
  for (int j = degree - 2; j >= 0; --j) sum = sum * r + S::exp_tail[j];
  // The low bits of `shifted` are n. Multiplying by 2^n keeps NaN; adding n to the exponent bits of
  // the sum would not.
  const Vec<R> scale = (Vec<R>)(((typename S::U)shifted << S::mantissa_bits) + S::one_bits);
  sum = (sum * (r * r) + r + R(1)) * scale;
  return x < S::least_exponent ? Vec<R>{} : sum;
}

// log(1 + e) for 0 <= e <= 1.
template <class R> TAYLORED_INLINE Vec<R> log1p(Vec<R> e) {
  constexpr R root_less_one = R(0.41421356237309504880), log_2 = R(0.69314718055994530942);
  const auto large = e > root_less_one;
  const Vec<R> f = large ? R(0.5) * e - R(0.5) : e;  // (1 + e) / 2 - 1
  const Vec<R> low = Simd<R>::log1p_reduced(f);
  return large ? low + log_2 : low;
}

// log(u) for positive, normal u.
template <class R> TAYLORED_INLINE Vec<R> log(Vec<R> u) {
  using S = Simd<R>;
  using I = typename S::I;
  using U = typename S::U;
  const U bits = (U)u;
  const I n = (I)(bits - S::half_root_bits) >> S::mantissa_bits;
  const Vec<R> f = (Vec<R>)(bits - ((U)n << S::mantissa_bits)) - R(1);
  const Vec<R> whole = __builtin_convertvector(n, Vec<R>);
  const Vec<R> result = S::log1p_reduced(f) + whole * S::ln2_low + whole * S::ln2_high;
  return result + (u - u);  // restores NaN and inf, whose bits were read as numbers
}

template <class R> TAYLORED_INLINE Vec<R> sqrt(Vec<R> u) {
  R lanes[Simd<R>::lanes];
  store(lanes, u);
  for (R& lane : lanes) lane = std::sqrt(lane);
  return load(lanes);
}

template <class R> TAYLORED_INLINE Vec<R> max(Vec<R> a, Vec<R> b) { return a > b ? a : b; }

template <class R> TAYLORED_INLINE Vec<R> abs(Vec<R> a) { return a < R(0) ? -a : a; }

// Folds the lanes of a vector pairwise, always in the same order.
template <class R, class Op> TAYLORED_INLINE R fold(Vec<R> v, Op op) {
  R lanes[Simd<R>::lanes];
  store(lanes, v);
  for (int half = Simd<R>::lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] = op(lanes[i], lanes[i + half]);
  return lanes[0];
}

template <class R> TAYLORED_INLINE R largest(Vec<R> v) {
  return fold<R>(v, [](R a, R b) { return a > b ? a : b; });
}

template <class R> TAYLORED_INLINE R sum(Vec<R> v) {
  return fold<R>(v, [](R a, R b) { return a + b; });
}

// A running sum over many classes, as a sum of short sums: it loses fewer digits at the same cost.
template <class R> class LongSum {
 public:
  TAYLORED_INLINE void add(Vec<R> v) {
    short_ += v;
    if (++count_ % 32 == 0) {
      long_ += short_;
      short_ = Vec<R>{};
    }
  }

  TAYLORED_INLINE Vec<R> value() const { return long_ + short_; }

 private:
  Vec<R> long_{}, short_{};
  int count_ = 0;
};

// A running sum in double. In float32, a sum over millions of elements loses its last digits.
template <class R> class Total {
 public:
  TAYLORED_INLINE void add(Vec<R> v) {
    wide_ += __builtin_convertvector(v, typename Simd<R>::Wide);
  }

  void add(const Total& other) { wide_ += other.wide_; }

  bool is_nan() const { return std::isnan(value()); }

  double value() const {
    double lanes[Simd<R>::lanes], result = 0.0;
    std::memcpy(lanes, &wide_, sizeof lanes);
    for (double lane : lanes) result += lane;
    return result;
  }

 private:
  typename Simd<R>::Wide wide_{};
};

}  // namespace taylored
