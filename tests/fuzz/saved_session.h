// Saved sessions as bytes, to be changed.

#ifndef SLM_TESTS_FUZZ_SAVED_SESSION_H_
#define SLM_TESTS_FUZZ_SAVED_SESSION_H_

#include <string>
#include <string_view>

#include "slm/model.h"
#include "slm/session.h"

namespace slm::test {

// Models with sliding windows and without.
const Model& SavedModel(bool sliding);
inline constexpr std::int32_t kSavedContext = 16;

// The file of a session that has read a few tokens.
std::string SavedSession(bool sliding, KvType kv_type, std::string_view note);
// The same file with another note.
std::string WithNote(std::string session, std::string_view note);
// Makes the checksum, and the size in the header, fit what the file holds.
std::string Sealed(std::string session);

}  // namespace slm::test

#endif  // SLM_TESTS_FUZZ_SAVED_SESSION_H_
