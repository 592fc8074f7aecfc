// Parallel loops on torch's own threads, and scratch memory for each thread.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>

namespace taylored {

// The entry points of the OpenMP runtime that torch has loaded into the process. With a runtime of
// our own there would be a second team of threads, which ignores torch.set_num_threads. The
// runtimes of GNU and of LLVM both have these names.
struct OpenMP {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
  int (*rank)();
  int (*size)();

  static const OpenMP& borrowed() {
    static const OpenMP runtime = {
        reinterpret_cast<decltype(parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel")),
        reinterpret_cast<decltype(rank)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num")),
        reinterpret_cast<decltype(size)>(dlsym(RTLD_DEFAULT, "omp_get_num_threads"))};
    return runtime;
  }

  bool complete() const { return parallel && rank && size; }
};

// With fewer elements the work is done before a second thread has started.
constexpr int64_t least_parallel_work = 1 << 14;

inline int64_t useful_threads(int64_t asked, int64_t elements) {
  return elements >= least_parallel_work && OpenMP::borrowed().complete() && asked > 1 ? asked : 1;
}

// Calls work(rank, first, last) on each thread with its share of [0, count). The shares are
// contiguous and depend only on the number of threads, so that sums are the same on every run.
template <class Work> void parallel(int64_t threads, int64_t count, Work&& work) {
  if (threads == 1) return work(int64_t{0}, int64_t{0}, count);
  struct Call {
    Work& work;
    int64_t count;
  } call{work, count};
  OpenMP::borrowed().parallel(
      [](void* data) {
        Call& call = *static_cast<Call*>(data);
        const int64_t rank = OpenMP::borrowed().rank(), size = OpenMP::borrowed().size();
        call.work(rank, call.count * rank / size, call.count * (rank + 1) / size);
      },
      &call, static_cast<unsigned>(threads), 0);
}

// The scratch memory of one thread, which is kept between calls: the page faults of new memory cost
// more time than the arithmetic on it.
class Scratch {
 public:
  explicit Scratch(size_t bytes) {
    thread_local Block block;
    if (block.bytes < bytes) {
      std::free(block.start);
      block.bytes = bytes;
      block.start = static_cast<char*>(std::aligned_alloc(line, round_up(bytes)));
      if (!block.start) std::abort();
    }
    next_ = block.start;
  }

  template <class T> T* take(int64_t count) {
    T* taken = reinterpret_cast<T*>(next_);
    next_ += size_of<T>(count);
    return taken;
  }

  // How much `take` will use.
  template <class T> static size_t size_of(int64_t count) { return round_up(sizeof(T) * count); }

 private:
  static constexpr size_t line = 64;
  static size_t round_up(size_t bytes) { return (bytes + line - 1) / line * line; }

  struct Block {
    char* start = nullptr;
    size_t bytes = 0;
    ~Block() { std::free(start); }
  };

  char* next_;
};

}  // namespace taylored
