# Precompiled headers, off with SKEP_PCH=OFF. They are private to our targets and a matter of time
# only: a file that uses CAF and Catch2 compiles in half the time. Every file still includes what it
# uses; the presets dev and tidy build without them and prove it.
#
# The headers are named in angle brackets, so that CMake writes no absolute path into the file it
# precompiles: ccache can then share the result between clones.
set(SKEP_PCH_HEADERS
  <caf/actor.hpp>
  <caf/actor_system.hpp>
  <caf/event_based_actor.hpp>
  <caf/send.hpp>
  <algorithm>
  <chrono>
  <functional>
  <map>
  <memory>
  <string>
  <unordered_map>
  <variant>
  <vector>)

# skep_use_pch(TARGET [HEADERS…]): precompiles SKEP_PCH_HEADERS and HEADERS for TARGET.
function(skep_use_pch target)
  if(NOT SKEP_PCH)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE ${SKEP_PCH_HEADERS} ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # ccache 4 asks for this where it must fall back to preprocessing.
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()

# skep_reuse_pch(TARGET FROM): takes what FROM precompiled; both need the same flags.
function(skep_reuse_pch target from)
  if(NOT SKEP_PCH)
    return()
  endif()
  target_precompile_headers(${target} REUSE_FROM ${from})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()
