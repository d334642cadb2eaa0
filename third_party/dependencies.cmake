# How the project finds what it did not write: the system's package first, otherwise a pinned source through FetchContent.

include(FetchContent)

find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(xsimd REQUIRED)

if(SLM_BUILD_TOOLS)
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json REQUIRED)
endif()
if(SLM_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(Eigen3 REQUIRED)
  find_package(nlohmann_json REQUIRED)
  include(GoogleTest)
endif()
if(SLM_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()
