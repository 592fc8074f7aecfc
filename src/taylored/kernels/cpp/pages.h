// Large pages for a large gradient.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace taylored {

// The system maps new memory page by page, when a page is first written. For a gradient of many
// megabytes these interruptions take longer than the arithmetic. With pages of 2 MB there are 512
// times fewer. This is only a hint: if the system ignores it, or the memory is mapped already,
// nothing changes.
inline void prefer_large_pages([[maybe_unused]] void* start, [[maybe_unused]] size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t large = uintptr_t{2} << 20;
  // Only whole large pages inside the buffer, so that nothing around it is affected.
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(start) + large - 1) / large * large;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(start) + bytes) / large * large;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace taylored
