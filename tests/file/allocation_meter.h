// How much memory code asks for: replaces the global operator new of the program it is linked into.

#ifndef SLM_TESTS_FILE_ALLOCATION_METER_H_
#define SLM_TESTS_FILE_ALLOCATION_METER_H_

#include <cstddef>

namespace slm::test {

// Bytes asked of operator new by this thread so far, whether or not given back.
std::size_t AllocatedBytes();

}  // namespace slm::test

#endif  // SLM_TESTS_FILE_ALLOCATION_METER_H_
