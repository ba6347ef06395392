# Debian's CAF ships no CMake package: finds libcaf_core and makes CAF::core.
# CAF_ROOT may point at a build of one's own (the tsan preset needs a CAF built with TSan).
find_path(CAF_INCLUDE_DIR caf/config.hpp HINTS ${CAF_ROOT} PATH_SUFFIXES include)
find_library(CAF_CORE_LIBRARY caf_core HINTS ${CAF_ROOT} PATH_SUFFIXES lib)
find_library(CAF_IO_LIBRARY caf_io HINTS ${CAF_ROOT} PATH_SUFFIXES lib)
if(CAF_INCLUDE_DIR)
  file(STRINGS ${CAF_INCLUDE_DIR}/caf/config.hpp caf_version_line
    REGEX "#define CAF_VERSION [0-9]+")
  string(REGEX REPLACE ".*CAF_VERSION ([0-9]+).*" "\\1" CAF_VERSION_NUMBER "${caf_version_line}")
  if(NOT CAF_VERSION_NUMBER EQUAL 1706)
    message(FATAL_ERROR
      "skep needs CAF 0.17.6 (Debian: libcaf-dev), found CAF_VERSION ${CAF_VERSION_NUMBER}")
  endif()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF REQUIRED_VARS CAF_CORE_LIBRARY CAF_INCLUDE_DIR)
if(CAF_FOUND AND NOT TARGET CAF::core)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(CAF::core PROPERTIES
    IMPORTED_LOCATION ${CAF_CORE_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR})
endif()
if(CAF_FOUND AND CAF_IO_LIBRARY AND NOT TARGET CAF::io)
  # Only bench/ uses it, to compare with.
  add_library(CAF::io UNKNOWN IMPORTED)
  set_target_properties(CAF::io PROPERTIES
    IMPORTED_LOCATION ${CAF_IO_LIBRARY}
    INTERFACE_LINK_LIBRARIES CAF::core)
endif()
