#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace skep::actors {

/// Ends the frame of a server-sent event whose data begins at `from`. The data is JSON, parts of
/// which are as others wrote them, with line ends between its tokens: there a space says the same,
/// while a line end would end the data.
inline void end_frame(std::string& frames, std::size_t from) {
  const auto is_line_end = [](char each) { return each == '\n' || each == '\r'; };
  std::replace_if(frames.begin() + static_cast<std::ptrdiff_t>(from), frames.end(), is_line_end,
                  ' ');
  frames += "\n\n";
}

/// The frame of an event without a name.
inline std::string data_frame(std::string_view json) {
  std::string frame = "data: ";
  const auto from = frame.size();
  frame += json;
  end_frame(frame, from);
  return frame;
}

} // namespace skep::actors
