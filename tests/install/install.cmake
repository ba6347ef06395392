# Installs the build folder BUILD into PREFIX, emptied first, and checks what must be there.
file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)

file(GLOB_RECURSE installed RELATIVE ${PREFIX} ${PREFIX}/*)
foreach(wanted
    "bin/skep" "share/skep/configs/dev\\.toml" "include/skep/messages/errc\\.hpp"
    "lib.*/cmake/skep/skepConfig\\.cmake" "lib.*/libskep_actors\\.a"
    "lib.*/libskep_program\\.a" "include/skep/program/node_main\\.hpp")
  set(hits ${installed})
  list(FILTER hits INCLUDE REGEX "^${wanted}$")
  if(NOT hits)
    message(FATAL_ERROR "nothing installed in ${PREFIX} matches ${wanted}")
  endif()
endforeach()

execute_process(COMMAND ${PREFIX}/bin/skep version
  OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
message(STATUS "installed: ${version}")
