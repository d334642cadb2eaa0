// Chat templates: the part of the Jinja language that they use.
//
//   Result<Template> chat = Template::Parse(source);
//   Dict context;
//   context.Set("messages", true, messages);
//   Result<Text> text = chat->Render(Value(std::move(context)), RenderOptions());
//
// The language is Jinja 3's as the transformers library sets it up: trim_blocks and lstrip_blocks, break and continue,
// generation blocks, its tojson, raise_exception() and strftime_now(). Lists and dicts cannot be changed by a template.
//
// Every failure is a Status whose message names line and column, also where the template itself refuses the
// conversation. Work, output, memory and nesting are bounded, so that no template can hang or crash the program.
//
// Thread-safety: a Template never changes; any number of threads may render it. Values are shared handles to data that
// never changes.

#ifndef SLM_JINJA_TEMPLATE_H_
#define SLM_JINJA_TEMPLATE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "jinja/text.h"
#include "jinja/value.h"
#include "slm/status.h"

namespace slm::jinja {

struct RenderOptions {
  std::chrono::sys_seconds now{};  // what strftime_now() says, as local time
  // What from_json() does, which fails without it. Strings get the origin that is given.
  Result<Value> (*parse_json)(std::string_view text, bool from_template) = nullptr;
  std::uint64_t max_steps = 10'000'000;       // expressions evaluated, elements visited, pieces of text read
  std::size_t max_output_bytes = 16u << 20;   // of the result, and of every string on the way
  std::size_t max_memory_bytes = 192u << 20;  // held at once, besides the variables
  std::size_t max_pieces = 1u << 19;          // of the result: neighbours of different origin
  int max_depth = 300;                        // levels of expressions, blocks and macros inside each other
};

class Template {
 public:
  static Result<Template> Parse(std::string_view source);

  // `context` is a dict with strings as keys: the variables.
  Result<Text> Render(const Value& context, const RenderOptions& options) const;

 private:
  struct Program;
  explicit Template(std::shared_ptr<const Program> program);

  std::shared_ptr<const Program> program_;
};

}  // namespace slm::jinja

#endif  // SLM_JINJA_TEMPLATE_H_
