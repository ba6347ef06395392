#pragma once

#include <csignal>
#include <string>

// What the commands that serve until a signal comes share.
namespace skep::cli {

/// SIGTERM and SIGINT.
sigset_t stop_signals();

/// Keeps them for sigtimedwait(). To be called before any thread starts, so that all of them leave
/// the signals to this one; a broken pipe is no signal from then on, either.
void hold_signals();

/// From here on a signal ends the process at once.
void let_signals_kill();

/// Says on stdout, and in the ready file when one is named, where clients may come. The file is
/// written beside and renamed, so that whoever waits for it never reads half of it. False, with a
/// message on stderr, when it cannot be written.
bool announce(const std::string& endpoint, const std::string& ready_file);

} // namespace skep::cli
