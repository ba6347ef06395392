# cmake --install: the binary, the configurations, the headers, and a package for find_package(skep)
# with skep::messages, skep::runtime, skep::apis, skep::actors and skep::program.
include(CMakePackageConfigHelpers)

set(skep_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/skep)

install(TARGETS skep RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/skep/configs
  FILES_MATCHING PATTERN "*.toml")
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The folders keep their names below include/skep, so that an include reads the same inside and
# outside of this repository: "runtime/flow/circuit_breaker.hpp".
install(DIRECTORY messages runtime apis actors program DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/skep
  FILES_MATCHING PATTERN "*.hpp" PATTERN "detail" EXCLUDE)

foreach(part messages runtime apis actors program)
  set_target_properties(skep_${part} PROPERTIES EXPORT_NAME ${part})
endforeach()
install(TARGETS skep_messages skep_runtime skep_apis skep_actors skep_program EXPORT skepTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT skepTargets NAMESPACE skep:: DESTINATION ${skep_package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/skepConfig.cmake.in
  ${PROJECT_BINARY_DIR}/skepConfig.cmake
  INSTALL_DESTINATION ${skep_package_dir})
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/skepConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/skepConfig.cmake
  ${PROJECT_BINARY_DIR}/skepConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/skep_dependencies.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindCAF.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindZeroMQ.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindxxHash.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindZstd.cmake
  ${CMAKE_CURRENT_LIST_DIR}/FindHiredis.cmake
  DESTINATION ${skep_package_dir})
