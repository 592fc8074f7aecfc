// Large pages for a large gradient.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace taylored {

// Memory fresh from the system is mapped page by page while it is first written. For a gradient of
// many megabytes these interruptions take longer than the arithmetic; pages of 2 MB are 512 times
// fewer. Only a hint: where it is not followed, or the memory is mapped already, nothing changes.
inline void prefer_large_pages([[maybe_unused]] void* start, [[maybe_unused]] size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t large = uintptr_t{2} << 20;
  // Whole large pages inside the buffer: nothing around it is touched or grows.
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(start) + large - 1) / large * large;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(start) + bytes) / large * large;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace taylored
