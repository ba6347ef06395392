# Warnings and common definitions of every target of ours. Sanitizers come from the presets' cache
# variable SKEP_SANITIZE ("address,undefined" or "thread").
set(SKEP_SANITIZE "" CACHE STRING "Sanitizers to build with, comma separated")

add_library(skep_flags INTERFACE)
target_compile_options(skep_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast)
if(SKEP_WERROR)
  target_compile_options(skep_flags INTERFACE -Werror)
endif()
if(SKEP_SANITIZE)
  target_compile_options(skep_flags INTERFACE
    -fsanitize=${SKEP_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # g++ 12 sees uninitialised members in std::function and std::regex when they are instrumented.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(skep_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
  # CAF's own init_fun_factory.hpp binds a null reference.
  if(SKEP_SANITIZE MATCHES "undefined")
    target_compile_options(skep_flags INTERFACE -fno-sanitize=null,vptr)
  endif()
  # Asio's fences, which ThreadSanitizer does not model; its operations take a lock as well.
  if(SKEP_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(skep_flags INTERFACE -Wno-tsan)
  endif()
  target_link_options(skep_flags INTERFACE -fsanitize=${SKEP_SANITIZE})
endif()
find_program(SKEP_LLD ld.lld)
if(SKEP_LLD)
  target_link_options(skep_flags INTERFACE -fuse-ld=lld)
endif()
