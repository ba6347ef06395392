#pragma once

#include <csignal>
#include <initializer_list>
#include <string>

// What the commands that serve until a signal comes share.
namespace skep::program {

sigset_t signal_set(std::initializer_list<int> signals);
/// SIGTERM and SIGINT.
sigset_t stop_signals();

/// Keeps these for sigtimedwait(), and lets those that would end a process for nothing (a broken
/// pipe, a timer, SIGUSR2) do nothing. To be called before any thread starts, so that all of them
/// leave the signals to this one.
void hold_signals(const sigset_t& held);

/// From here on a signal ends the process at once.
void let_signals_kill();

/// A descriptor of 0 to 2 that is closed would be given to a socket, and that socket what is meant
/// for stdout or stderr; so /dev/null stands there.
void open_standard_streams();

/// Says on stdout, as `program`, and in the ready file when one is named, where clients may come. A
/// stdout nobody reads is no failure and holds nobody. The file is written beside and renamed, so
/// that whoever waits for it never reads half of it; a second line names the endpoint of operations
/// where that is another one. False, with a message on stderr, when it cannot be written.
bool announce(const std::string& program, const std::string& endpoint,
              const std::string& ready_file, const std::string& operations = {});

} // namespace skep::program
