// Where the time of a session went: one entry for each operation of each layer.
//
//   slm::Result<slm::Session> session = slm::Session::Create(model, {.profile = true});
//   session->Append(tokens);
//   for (const slm::ProfileEntry& entry : session->Profile()) { ... }
//
// Operations follow each other with a meeting of all threads between them, so the seconds add up to the time of the
// forward pass. Measuring costs two readings of the clock an operation.

#ifndef SLM_PROFILE_H_
#define SLM_PROFILE_H_

#include <cstdint>
#include <string_view>

namespace slm {

struct ProfileEntry {
  std::string_view operation;  // "attn_qkv", "ffn_gate_up", ...; lives as long as the program
  std::int32_t layer = -1;     // -1: not part of a layer (embedding, output head)
  std::uint64_t calls = 0;     // batches and single tokens
  double seconds = 0;          // wall clock
  double multiply_adds = 0;    // of products and attention; 0 for element-wise work
  double bytes = 0;            // of weights, keys and values, each counted once a call
};

}  // namespace slm

#endif  // SLM_PROFILE_H_
