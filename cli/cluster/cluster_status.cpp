#include "cli/cluster/cluster_report.hpp"
#include "cli/commands.hpp"
#include "cli/http.hpp"

#include <fmt/core.h>

namespace skep::cli {

int cluster_status(const std::string& node) {
  const auto url = base_url(node);
  net::http_client client{net::fetch_config{}};
  const auto answer = ask(client, "GET", url + "/cluster");
  if (!answer.ok() || answer.status != 200) {
    fmt::print(stderr, "skep cluster status: {}: {}\n", url, complaint_of(answer));
    return exit_failed;
  }
  const auto picture = cluster::read_cluster(answer.body);
  if (!picture) {
    fmt::print(stderr, "skep cluster status: {}: {}\n", url, picture.error().detail);
    return exit_failed;
  }
  fmt::print("{}", cluster::report_of(*picture));
  return picture->quorum ? exit_ok : exit_failed;
}

} // namespace skep::cli
