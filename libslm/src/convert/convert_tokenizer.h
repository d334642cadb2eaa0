// A tokenizer as Hugging Face saves it to what a GGUF file says of one: tokenizer.ggml.* and tokenizer.chat_template*.

#ifndef SLM_CONVERT_CONVERT_TOKENIZER_H_
#define SLM_CONVERT_CONVERT_TOKENIZER_H_

#include <cstdint>
#include <string_view>

#include "convert/hf_folder.h"
#include "file/gguf_writer.h"
#include "slm/log.h"
#include "slm/status.h"

namespace slm {

// Adds the keys to `metadata`. `architecture` is the GGUF name, `vocab_size` the rows of the checkpoint's embedding:
// a shorter vocabulary is padded to it with unused tokens. Returns how many tokens the vocabulary has then, which is
// less than vocab_size where rows beyond the tokenizer's are to be dropped (Gemma 3). What can't be carried over is
// told to `log`, or is kUnsupported where the ids of texts would be others. Fails with kNotFound (no tokenizer in the
// folder: says which files were looked for), kCorruptFile or kUnsupported.
Result<std::int32_t> ConvertTokenizer(const HfFolder& folder, std::string_view architecture, std::int32_t vocab_size,
                                      GgufMetadata& metadata, const LogCallback& log);

}  // namespace slm

#endif  // SLM_CONVERT_CONVERT_TOKENIZER_H_
