#!/usr/bin/env bash
# Builds CAF 0.17.6's core with ThreadSanitizer into FOLDER (default build/tsan-caf), for the preset
# tsan. Debian's library is not instrumented: with it every CAF program shows dozens of false races,
# and suppressing them would hide the real ones. Takes about five minutes once; the second call does
# nothing.
#
# The source is Debian's own tarball, fetched by apt with a source list of its own, so that the
# system's lists stay as they are.
set -euo pipefail

folder=$(realpath -m "${1:-build/tsan-caf}")
readonly folder
readonly tarball=actor-framework_0.17.6.orig.tar.gz
readonly checksum=e2bf5bd243f08bb7d8adde197cfe3e6d71314ed3378fe0692f8932f4c3b3928c

if [[ -f $folder/lib/libcaf_core.so ]]; then
  exit 0
fi

work=$folder/work
mkdir -p "$work/lists/partial"
cd "$work"

# The mirror this machine already uses.
mirror_of_this_machine() {
  local sources=/etc/apt/sources.list.d/debian.sources
  if [[ -f $sources ]]; then
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p' "$sources"
  else
    sed -n 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list
  fi | head -n 1
}

fetch() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb-src [signed-by=$keyring] $(mirror_of_this_machine) bookworm main" >sources.list
  cat >apt.conf <<CONF
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$work/lists";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "";
CONF
  APT_CONFIG=$work/apt.conf apt-get -q update
  # Only the tarball matters; Debian's patches beside it may be missing on a mirror.
  APT_CONFIG=$work/apt.conf apt-get -q source --download-only actor-framework || true
  echo "$checksum  $tarball" | sha256sum --check
}

[[ -f $tarball ]] || fetch
tar xzf "$tarball"

cmake -S actor-framework-0.17.6 -B build -G Ninja \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS="-fsanitize=thread -O1 -g1" \
  -DCMAKE_INSTALL_PREFIX="$folder" -DCMAKE_INSTALL_LIBDIR=lib -DCAF_BUILD_STATIC=OFF \
  -DCAF_NO_IO=ON -DCAF_NO_OPENSSL=ON -DCAF_NO_OPENCL=ON -DCAF_NO_PYTHON=ON \
  -DCAF_NO_TOOLS=ON -DCAF_NO_EXAMPLES=ON -DCAF_NO_UNIT_TESTS=ON >/dev/null
cmake --build build
cmake --install build >/dev/null
rm -rf build actor-framework-0.17.6
echo "ThreadSanitizer's CAF is in $folder"
