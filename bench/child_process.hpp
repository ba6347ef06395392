#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

namespace skep::bench {

/// A process of this very program, with pipes to its input and from its output.
struct child {
  pid_t pid = 0;
  int in = -1;
  int out = -1;
};

/// Runs this program with these arguments.
inline child start(const std::vector<std::string>& arguments) {
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe(to.data()) != 0 || pipe(from.data()) != 0)
    std::exit(1);
  const auto pid = fork();
  if (pid == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    close(to[1]);
    close(from[0]);
    std::vector<char*> argv{const_cast<char*>("skep_bench")};
    for (const auto& each : arguments)
      argv.push_back(const_cast<char*>(each.c_str()));
    argv.push_back(nullptr);
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  return {pid, to[1], from[0]};
}

/// Up to the line end, or the end.
inline std::string read_line(const child& from) {
  std::string line;
  char each = 0;
  while (read(from.out, &each, 1) == 1 && each != '\n')
    line += each;
  return line;
}

/// Closes its input, upon which it ends.
inline void end(const child& of) {
  close(of.in);
  close(of.out);
  waitpid(of.pid, nullptr, 0);
}

} // namespace skep::bench
