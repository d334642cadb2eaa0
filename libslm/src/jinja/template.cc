#include "jinja/template.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "base/format.h"
#include "jinja/evaluator.h"
#include "jinja/lexer.h"
#include "jinja/parser.h"

namespace slm::jinja {
namespace {

constexpr std::size_t kMaxSourceBytes = 1u << 20;  // the largest templates in use have a tenth of it

Status Describe(const Failure& failure, std::string_view source) {
  if (!failure.position) return Status(StatusCode::kInvalidArgument, Cat("Chat template: ", failure.message, "."));
  const std::string_view before = source.substr(0, *failure.position);
  const std::size_t line = static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const std::size_t newline = before.rfind('\n');
  const std::size_t column =
      CountCharacters(newline == std::string_view::npos ? before : before.substr(newline + 1)) + 1;
  return Status(StatusCode::kInvalidArgument,
                Cat("Chat template, line ", line, ", column ", column, ": ", failure.message, "."));
}

// The boundary that no exception crosses.
template <typename T, typename Work>
Result<T> Guard(std::string_view source, Work work) {
  try {
    return work();
  } catch (const Failure& failure) {
    return Describe(failure, source);
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::kOutOfMemory, "Chat template: there is not enough memory for it.");
  }
}

}  // namespace

struct Template::Program {
  std::string source;
  Block block;
};

Template::Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}

Result<Template> Template::Parse(std::string_view text) {
  if (text.size() > kMaxSourceBytes) {
    return Status(StatusCode::kInvalidArgument, Cat("Chat template: it has ", text.size(), " bytes, but at most ",
                                                    kMaxSourceBytes, " are accepted."));
  }
  const std::string source = NormalizeLineEnds(text);
  return Guard<Template>(source, [&] {
    Block block = Parser(Tokenize(source)).ParseTemplate();
    return Template(std::make_shared<const Program>(Program{source, std::move(block)}));
  });
}

Result<Text> Template::Render(const Value& context, const RenderOptions& options) const {
  return Guard<Text>(program_->source, [&] {
    if (!context.is(Value::Type::kDict)) throw Failure("its variables must be given as a dict");
    const MemoryMeter meter(options.max_memory_bytes);
    Text text = Evaluator(context, options).Run(program_->block);
    if (text.piece_count() > options.max_pieces) {
      throw Failure(Cat("the template needs too much memory: it makes more than ", options.max_pieces, " pieces"));
    }
    return text;
  });
}

}  // namespace slm::jinja
