// Text from a file made fit to show to a person, in messages and listings.

#ifndef SLM_FILE_ESCAPE_H_
#define SLM_FILE_ESCAPE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace slm {

// `text` with control characters and bytes that are not UTF-8 written as \n, \t, \r or \xNN, so that it can't steer a
// terminal. Text that would become longer than about max_chars bytes is cut between characters and ends in " ...".
std::string Escaped(std::string_view text, std::size_t max_chars);

// A name in double quotes, escaped and shortened, for messages.
std::string Quoted(std::string_view name);

}  // namespace slm

#endif  // SLM_FILE_ESCAPE_H_
