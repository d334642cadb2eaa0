#include "file/allocation_meter.h"

#include <cstdlib>
#include <new>

namespace {
thread_local std::size_t allocated_bytes = 0;
}  // namespace

namespace slm::test {
std::size_t AllocatedBytes() { return allocated_bytes; }
}  // namespace slm::test

void* operator new(std::size_t size) {
  allocated_bytes += size;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
