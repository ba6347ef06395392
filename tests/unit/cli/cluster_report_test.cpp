#include "cli/cluster/cluster_report.hpp"
#include "tests/support/catch.hpp"

using namespace skep;
using namespace skep::cli::cluster;

namespace {

constexpr auto answer = R"({
  "node": "a", "cluster": "hive", "membership": "static", "standing": "quorum", "quorum": true,
  "incarnation": "17",
  "view": {"number": 4, "proposer": "a", "members": [
    {"name": "a", "address": "tcp://h1:1", "incarnation": 17, "weight": 1, "draining": false,
     "slots": 512},
    {"name": "b", "address": "tcp://h2:1", "incarnation": "18", "weight": 2, "draining": true,
     "slots": 0},
    {"name": "c", "address": "tcp://h3:1", "incarnation": 19, "weight": 1, "draining": false,
     "slots": 512}]},
  "peers": [
    {"name": "b", "address": "tcp://h2:1", "up": true, "incarnation": 18, "rtt_ms": 0.213,
     "phi": 0.34, "queued_messages": 2, "queued_bytes": 1536, "in_flight_bytes": 65536,
     "window_bytes": 4194304, "names": ["agent/x", "b1", "b2", "b3", "b4"]},
    {"name": "c", "up": false, "phi": 12.5}],
  "refusals": ["d: a live node has this name"]})";

} // namespace

TEST_CASE("a node's cluster is shown with members, links and refusals", "[cli][cluster]") {
  const auto picture = read_cluster(answer);
  REQUIRE(picture);
  CHECK(report_of(*picture) == R"(cluster hive, membership static, seen by a (incarnation 17)
in force: quorum
view 4, proposed by a

member  state      slots  weight  address     incarnation
a       this node  512    1       tcp://h1:1  17
b       draining   0      2       tcp://h2:1  18
c       not heard  512    1       tcp://h3:1  19

link to  state  rtt      phi   credit left         queued       serves
b        up     0.21 ms  0.3   3.9 MiB of 4.0 MiB  2 (1.5 KiB)  agent/x b1 b2 b3 and 1 more
c        down   -        12.5  0 B of 0 B          0 (0 B)

refused:
  d: a live node has this name
)");
  REQUIRE(picture->member("b") != nullptr);
  CHECK(picture->member("b")->draining);
  CHECK(picture->member("d") == nullptr);
}

TEST_CASE("a node without a view says so", "[cli][cluster]") {
  const auto picture = read_cluster(
    R"({"node":"a","cluster":"hive","standing":"no quorum: hears 1 of 3 seeds","quorum":false})");
  REQUIRE(picture);
  CHECK(report_of(*picture)
        == "cluster hive, membership , seen by a (incarnation )\n"
           "NOT IN FORCE: no quorum: hears 1 of 3 seeds\nno view yet\n");
}

TEST_CASE("what is no cluster is refused, whatever it is", "[cli][cluster]") {
  for (const auto* body :
       {"", "nonsense", "[]", "null", "5", R"({"node":5})", R"({"peers":5})", R"({"peers":[5]})",
        R"({"view":{"members":{}}})", R"({"view":{"number":"four"}})", R"({"refusals":[1]})"}) {
    INFO(body);
    const auto picture = read_cluster(body);
    if (picture)
      CHECK(picture->members.empty());
    else
      CHECK(picture.error().code == errc::malformed);
  }
  CHECK(!read_cluster("[]"));
  CHECK(!read_cluster(R"({"node":5})"));
  CHECK(!read_cluster(R"({"peers":[5]})"));
}

TEST_CASE("bytes are shown in the unit that fits", "[cli][cluster]") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(4 << 20) == "4.0 MiB");
  CHECK(bytes_text(std::uint64_t{5} << 40) == "5120.0 GiB");
}
