# How the project finds what it did not write: the system's package first, otherwise a pinned release through
# FetchContent, checked by its SHA-256. third_party/README.md lists versions, licences and who may include what.

include(FetchContent)
if(POLICY CMP0135)
  cmake_policy(SET CMP0135 NEW) # unpacked files are as old as their unpacking
endif()

# slm_find_headers(PACKAGE pkg TARGET target MINIMUM version HEADERS dir INCLUDE subdir URL url SHA256 hash)
#
# Makes an interface target of a library that consists of headers only, for use in this directory and below.
#   PACKAGE, TARGET  what the library's CMake package is called and the target it defines
#   MINIMUM          oldest version that will do. Compared here because several of these packages refuse any other major
#                    version than the one asked for, and newer ones are welcome.
#   HEADERS          the directory that its include directives begin with
#   INCLUDE          the release's folder that holds HEADERS
#   URL, SHA256      the release used when the system has no package
function(slm_find_headers)
  cmake_parse_arguments(ARG "" "PACKAGE;TARGET;MINIMUM;HEADERS;INCLUDE;URL;SHA256" "" ${ARGN})
  if(TARGET ${ARG_TARGET})
    return() # a project that contains this one has its own
  endif()

  find_package(${ARG_PACKAGE} CONFIG QUIET)
  if(${ARG_PACKAGE}_FOUND AND ${ARG_PACKAGE}_VERSION VERSION_GREATER_EQUAL ARG_MINIMUM)
    message(STATUS "${ARG_PACKAGE} ${${ARG_PACKAGE}_VERSION}: the system's package")
    # Headers need no linking; Debian's xsimd nevertheless asks for a library that does not exist.
    set_target_properties(${ARG_TARGET} PROPERTIES INTERFACE_LINK_LIBRARIES "")
    if(CMAKE_CROSSCOMPILING)
      slm_isolate_headers(${ARG_TARGET} ${ARG_HEADERS})
    endif()
    return()
  endif()
  message(STATUS "${ARG_PACKAGE}: no package of version ${ARG_MINIMUM} or newer is installed, using ${ARG_URL}")
  # The library's own build files are not wanted, hence a folder that has none.
  FetchContent_Declare(${ARG_PACKAGE} URL ${ARG_URL} URL_HASH SHA256=${ARG_SHA256} SOURCE_SUBDIR no-build-files)
  FetchContent_MakeAvailable(${ARG_PACKAGE})
  string(TOLOWER ${ARG_PACKAGE} name)
  if(NOT TARGET ${ARG_TARGET}) # else: of the package that is too old
    add_library(${ARG_TARGET} INTERFACE IMPORTED)
  endif()
  set_target_properties(${ARG_TARGET} PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES ${${name}_SOURCE_DIR}/${ARG_INCLUDE} INTERFACE_LINK_LIBRARIES "")
endfunction()

# slm_find_header(TARGET target HEADER file MACRO macro MINIMUM version URL url SHA256 hash)
#
# The same for a library of one header whose package has nothing for CMake. MACRO_MAJOR, MACRO_MINOR and MACRO_RELEASE in
# it tell its version.
function(slm_find_header)
  cmake_parse_arguments(ARG "" "TARGET;HEADER;MACRO;MINIMUM;URL;SHA256" "" ${ARGN})
  if(TARGET ${ARG_TARGET})
    return()
  endif()
  add_library(${ARG_TARGET} INTERFACE IMPORTED)

  set(version "")
  find_path(SLM_${ARG_TARGET}_DIR ${ARG_HEADER} NO_CMAKE_FIND_ROOT_PATH)
  if(SLM_${ARG_TARGET}_DIR)
    set(file ${SLM_${ARG_TARGET}_DIR}/${ARG_HEADER})
    file(STRINGS ${file} lines REGEX "define +${ARG_MACRO}_(MAJOR|MINOR|RELEASE) +[0-9]+")
    string(REGEX MATCHALL " [0-9]+" version "${lines}")
    string(REPLACE "; " "." version "${version}")
    string(STRIP "${version}" version)
  endif()
  if(version VERSION_GREATER_EQUAL ARG_MINIMUM)
    message(STATUS "${ARG_TARGET} ${version}: the system's package")
    set(dir ${SLM_${ARG_TARGET}_DIR})
    if(CMAKE_CROSSCOMPILING)
      set(dir ${CMAKE_BINARY_DIR}/third_party/${ARG_TARGET})
      file(MAKE_DIRECTORY ${dir})
      file(CREATE_LINK ${file} ${dir}/${ARG_HEADER} SYMBOLIC)
    endif()
  else()
    message(STATUS "${ARG_TARGET}: no package of version ${ARG_MINIMUM} or newer is installed, using ${ARG_URL}")
    FetchContent_Declare(${ARG_TARGET} URL ${ARG_URL} URL_HASH SHA256=${ARG_SHA256} SOURCE_SUBDIR no-build-files)
    FetchContent_MakeAvailable(${ARG_TARGET})
    set(dir ${${ARG_TARGET}_SOURCE_DIR})
  endif()
  set_target_properties(${ARG_TARGET} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${dir})
endfunction()

# The host's /usr/include must not be searched when compiling for another processor. This gives a target a folder with
# nothing but a link to the library's own directory.
function(slm_isolate_headers target headers)
  get_target_property(includes ${target} INTERFACE_INCLUDE_DIRECTORIES)
  set(isolated ${CMAKE_BINARY_DIR}/third_party/${target})
  string(REPLACE "::" "_" isolated ${isolated})
  file(MAKE_DIRECTORY ${isolated})
  foreach(dir IN LISTS includes)
    if(EXISTS ${dir}/${headers})
      file(CREATE_LINK ${dir}/${headers} ${isolated}/${headers} SYMBOLIC)
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${isolated})
endfunction()

find_package(OpenMP REQUIRED COMPONENTS CXX)

slm_find_headers(PACKAGE xsimd TARGET xsimd MINIMUM 8.1 HEADERS xsimd INCLUDE include
  URL https://github.com/xtensor-stack/xsimd/archive/refs/tags/13.0.0.tar.gz
  SHA256 8bdbbad0c3e7afa38d88d0d484d70a1671a1d8aefff03f4223ab2eb6a41110a3)

slm_find_headers(PACKAGE nlohmann_json TARGET nlohmann_json::nlohmann_json MINIMUM 3.10 HEADERS nlohmann INCLUDE include
  URL https://github.com/nlohmann/json/releases/download/v3.12.0/json.tar.xz
  SHA256 42f6e95cad6ec532fd372391373363b62a14af6d771056dbfc86160e6dfff7aa)

slm_find_header(TARGET xxhash HEADER xxhash.h MACRO XXH_VERSION MINIMUM 0.8.0
  URL https://github.com/Cyan4973/xxHash/archive/refs/tags/v0.8.2.tar.gz
  SHA256 baee0c6afd4f03165de7a4e67988d16f0f2b257b51d0e3cb91909302a26a79c4)

if(SLM_BUILD_TOOLS)
  slm_find_headers(PACKAGE CLI11 TARGET CLI11::CLI11 MINIMUM 2.1 HEADERS CLI INCLUDE include
    URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.4.2.tar.gz
    SHA256 f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a)
endif()

# libedit has no CMake build and so no download: without it slm-chat reads plain lines. A cross build would find the
# host's.
if(SLM_BUILD_TOOLS AND NOT CMAKE_CROSSCOMPILING AND NOT TARGET libedit)
  find_path(SLM_LIBEDIT_INCLUDE_DIR histedit.h)
  find_library(SLM_LIBEDIT_LIBRARY edit)
  mark_as_advanced(SLM_LIBEDIT_INCLUDE_DIR SLM_LIBEDIT_LIBRARY)
  if(SLM_LIBEDIT_INCLUDE_DIR AND SLM_LIBEDIT_LIBRARY)
    message(STATUS "libedit: ${SLM_LIBEDIT_LIBRARY}")
    add_library(libedit INTERFACE IMPORTED)
    set_target_properties(libedit PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${SLM_LIBEDIT_INCLUDE_DIR}" INTERFACE_LINK_LIBRARIES "${SLM_LIBEDIT_LIBRARY}")
  else()
    message(STATUS "libedit: not installed, slm-chat will be without line editing and history")
  endif()
endif()

if(SLM_BUILD_TESTS)
  slm_find_headers(PACKAGE Eigen3 TARGET Eigen3::Eigen MINIMUM 3.4 HEADERS Eigen INCLUDE .
    URL https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.bz2
    SHA256 b4c198460eba6f28d34894e3a5710998818515104d6e74e5cc331ce31e46e626)
endif()

# Built for this machine, GoogleTest comes from the system's package. For another processor, Debian's sources of it do.
if(SLM_BUILD_TESTS)
  if(NOT CMAKE_CROSSCOMPILING)
    find_package(GTest 1.11 QUIET)
  elseif(EXISTS /usr/src/googletest/CMakeLists.txt AND NOT DEFINED FETCHCONTENT_SOURCE_DIR_GOOGLETEST)
    set(FETCHCONTENT_SOURCE_DIR_GOOGLETEST /usr/src/googletest)
  endif()
  if(NOT GTest_FOUND)
    set(INSTALL_GTEST OFF)
    FetchContent_Declare(googletest
      URL https://github.com/google/googletest/releases/download/v1.15.2/googletest-1.15.2.tar.gz
      URL_HASH SHA256=7b42b4d6ed48810c5362c265a17faebe90dc2373c885e5216439d37927f02926)
    FetchContent_MakeAvailable(googletest)
    foreach(name gtest gtest_main gmock)
      if(NOT TARGET GTest::${name})
        add_library(GTest::${name} ALIAS ${name})
      endif()
    endforeach()
  endif()
  include(GoogleTest)
endif()

if(SLM_BUILD_BENCH)
  find_package(benchmark 1.6 QUIET)
  if(NOT benchmark_FOUND)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    FetchContent_Declare(benchmark
      URL https://github.com/google/benchmark/archive/refs/tags/v1.8.2.tar.gz
      URL_HASH SHA256=2aab2980d0376137f969d92848fbb68216abb07633034534fc8c65cc4e7a0e93)
    FetchContent_MakeAvailable(benchmark)
  endif()
endif()
