# Installs the library, its headers, the tools, and what lets other projects find them: find_package(slm) and pkg-config.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The archives need the OpenMP runtime when a program is linked, and nothing else. The package file describes just
# that: an export of the build's own targets would ask every user for xsimd too.
install(TARGETS slm slm_jinja slm_core slm_kernels ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY libslm/include/slm DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/slm)
set(package_build_dir ${CMAKE_CURRENT_BINARY_DIR}/cmake)
configure_package_config_file(cmake/slmConfig.cmake.in ${package_build_dir}/slmConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${package_build_dir}/slmConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${package_build_dir}/slmConfig.cmake ${package_build_dir}/slmConfigVersion.cmake DESTINATION ${package_dir})

file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /) # cmake --install --prefix may choose another one
configure_file(cmake/slm.pc.in ${package_build_dir}/slm.pc @ONLY)
install(FILES ${package_build_dir}/slm.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(SLM_BUILD_TOOLS)
  install(TARGETS slm-bench slm-inspect RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  if(TARGET slm-chat)
    install(TARGETS slm-chat RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(DIRECTORY tools/chat/prompts DESTINATION ${CMAKE_INSTALL_DATADIR}/slm-chat FILES_MATCHING PATTERN "*.md")
  endif()
endif()
