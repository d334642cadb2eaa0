// The methods of strings.

#include <algorithm>
#include <array>
#include <limits>

#include "base/format.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "jinja/builtins.h"
#include "jinja/evaluator.h"
#include "jinja/operations.h"
#include "jinja/python_format.h"

namespace slm::jinja {

Value Replace(Evaluator& e, const Text& text, const Text& from, const Text& to, std::int64_t count) {
  const std::string_view view = text.view();
  Text out;
  std::size_t at = 0, search = 0;
  const auto insert = [&] {
    out.Append(to);
    e.budget().Charge(1 + to.size() / 16);
    e.budget().CheckText(out.size());
  };
  e.budget().ChargeText(view.size());
  if (count < 0) count = std::numeric_limits<std::int64_t>::max();
  for (; count != 0; --count) {
    const std::size_t found =
        from.empty() ? (search <= view.size() ? search : std::string_view::npos) : FindText(view, from.view(), search);
    if (found == std::string_view::npos) break;
    out.AppendPart(text, at, found - at);
    insert();
    at = found + from.size();
    search = from.empty() ? (found < view.size() ? found + DecodeUtf8(view, found).size : view.size() + 1) : at;
  }
  out.AppendPart(text, at, view.size() - at);
  return Value(std::move(out));
}

namespace {

template <typename Map>
Value MapCharacters(Evaluator& e, const Text& text, Map map) {
  e.budget().ChargeText(text.size());
  Text out;
  bool first = true;
  for (const Text::Piece& piece : text.Pieces()) {
    for (std::size_t i = 0; i < piece.text.size();) {
      const Utf8Char c = DecodeUtf8(piece.text, i);
      const std::string_view bytes = piece.text.substr(i, c.size);
      if (c.status == Utf8Status::kValid) {
        out.Append(map(c.code_point, first), piece.from_template);
      } else {
        out.Append(bytes, piece.from_template);
      }
      first = false;
      i += c.size;
    }
  }
  return Value(std::move(out));
}

std::string LowerText(char32_t c) {
  std::string out;
  AppendUtf8(ToLower(c), out);
  return out;
}

Value Upper(Evaluator& e, const Value& self, const Args&) {
  return MapCharacters(e, self.text(), [](char32_t c, bool) { return UpperText(c); });
}
Value Lower(Evaluator& e, const Value& self, const Args&) {
  return MapCharacters(e, self.text(), [](char32_t c, bool) { return LowerText(c); });
}
Value Capitalize(Evaluator& e, const Value& self, const Args&) {
  return MapCharacters(e, self.text(), [](char32_t c, bool first) { return first ? UpperText(c) : LowerText(c); });
}
Value Swapcase(Evaluator& e, const Value& self, const Args&) {
  return MapCharacters(e, self.text(), [](char32_t c, bool) { return IsUpper(c) ? LowerText(c) : UpperText(c); });
}
Value TitleMethod(Evaluator& e, const Value& self, const Args&) {
  bool inside = false;  // a word
  return MapCharacters(e, self.text(), [&](char32_t c, bool) {
    const bool letter = (ClassOf(c) & kLetter) != 0;
    const bool lower = std::exchange(inside, letter);
    return lower ? LowerText(c) : UpperText(c);
  });
}

template <Ends kEnds>
Value StripMethod(Evaluator& e, const Value& self, const Args& args) {
  e.budget().ChargeText(self.text().size());
  const Value* characters = args.Find(0, "chars");
  if (characters == nullptr || characters->is_null()) return Value(Strip(self.text(), kEnds));
  const std::string_view set = TextArgument(args, 0, "chars").view();
  e.budget().Charge(self.text().size() * (set.size() / 64) / 16);  // each character is looked up in the set
  return Value(Strip(self.text(), kEnds, &set));
}

Value SplitAtSpace(Evaluator& e, const Text& text, std::int64_t limit) {
  const std::string_view view = text.view();
  List parts;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= view.size();) {
    const Utf8Char c = i < view.size() ? DecodeUtf8(view, i) : Utf8Char{' ', 1, Utf8Status::kValid};
    if (IsSpace(c.code_point)) {
      if (i > begin) parts.emplace_back(text.Part(begin, i - begin));
      begin = i + c.size;
    } else if (i == begin && limit == static_cast<std::int64_t>(parts.size())) {
      parts.emplace_back(text.Part(begin));
      break;
    }
    i += c.size;
  }
  e.budget().Charge(parts.size());
  return Value(std::move(parts));
}

// Where the word of that number ends, from 1.
std::size_t WordEnd(std::string_view text, std::int64_t number) {
  std::size_t end = 0;
  bool inside = false;
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Char c = DecodeUtf8(text, i);
    const bool was_inside = std::exchange(inside, !IsSpace(c.code_point));
    if (inside && !was_inside && number-- == 0) break;
    i += c.size;
    if (inside) end = i;
  }
  return end;
}

// Like SplitAtSpace(), but it is the first part that keeps what the limit leaves.
Value SplitAtSpaceFromRight(Evaluator& e, const Text& text, std::int64_t limit) {
  Value all = SplitAtSpace(e, text, -1);
  const auto count = static_cast<std::int64_t>(all.items().size());
  if (limit >= count) return all;
  List parts(all.items().end() - limit, all.items().end());
  parts.insert(parts.begin(), Value(text.Part(0, WordEnd(text.view(), count - limit))));
  return Value(std::move(parts));
}

template <bool kFromRight>
Value Split(Evaluator& e, const Value& self, const Args& args) {
  const Text& text = self.text();
  e.budget().ChargeText(text.size());
  const Value* separator = args.Find(0, "sep");
  std::int64_t limit = args.Integer(1, "maxsplit", -1);
  if (limit < 0) limit = std::numeric_limits<std::int64_t>::max();
  if (separator == nullptr || separator->is_null()) {
    return kFromRight ? SplitAtSpaceFromRight(e, text, limit) : SplitAtSpace(e, text, limit);
  }
  const std::string_view mark = TextArgument(args, 0, "sep").view();
  if (mark.empty()) throw Failure("the separator is empty");
  List parts;
  std::size_t begin = 0, end = text.size();
  for (; limit != 0; --limit) {
    e.budget().Charge();
    if (kFromRight) {
      const std::size_t at = FindLastText(text.view().substr(0, end), mark);
      if (at == std::string_view::npos) break;
      parts.emplace_back(text.Part(at + mark.size(), end - at - mark.size()));
      end = at;
    } else {
      const std::size_t at = FindText(text.view(), mark, begin);
      if (at == std::string_view::npos) break;
      parts.emplace_back(text.Part(begin, at - begin));
      begin = at + mark.size();
    }
  }
  parts.emplace_back(text.Part(begin, end - begin));
  if (kFromRight) std::reverse(parts.begin(), parts.end());
  return Value(std::move(parts));
}

Value Splitlines(Evaluator& e, const Value& self, const Args& args) {
  const Text& text = self.text();
  const std::string_view view = text.view();
  const bool keep = args.Flag(0, "keepends", false);
  List lines;
  for (std::size_t begin = 0; begin < view.size();) {
    const std::size_t end = std::min(view.find_first_of("\n\r\v\f", begin), view.size());
    const std::size_t mark = view.substr(end, 2) == "\r\n" ? 2 : end < view.size() ? 1 : 0;
    lines.emplace_back(text.Part(begin, end - begin + (keep ? mark : 0)));
    begin = end + mark;
  }
  e.budget().Charge(lines.size() + view.size() / 16);
  return Value(std::move(lines));
}

template <bool kFromRight>
Value Partition(Evaluator&, const Value& self, const Args& args) {
  const Text& text = self.text();
  const Text& mark = TextArgument(args, 0, "sep");
  if (mark.empty()) throw Failure("the separator is empty");
  const std::size_t at = kFromRight ? FindLastText(text.view(), mark.view()) : FindText(text.view(), mark.view());
  if (at == std::string_view::npos) {
    const Value none{Text()};
    return kFromRight ? Value::Tuple({none, none, self}) : Value::Tuple({self, none, none});
  }
  return Value::Tuple({Value(text.Part(0, at)), Value(mark), Value(text.Part(at + mark.size()))});
}

// What the arguments `start` and `end` behind the first one, which are like a slice's, leave of a string.
struct Window {
  std::string_view text;
  std::int64_t first = 0;  // character of the string
  bool exists = true;      // false if it begins behind its end: then not even an empty text is found in it
};

Window WindowOf(const Value& self, const Args& args) {
  const std::string_view view = self.text().view();
  if (args.positional.size() < 2) return {view};
  const Array<std::size_t> offsets = CharacterOffsets(view);
  const auto length = static_cast<std::int64_t>(offsets.size()) - 1;
  const auto bound = [&](std::size_t i, std::string_view name, std::int64_t otherwise) {
    if (i < args.positional.size() && args.positional[i].is_null()) return otherwise;
    const std::int64_t at = args.Integer(i, name, otherwise);
    return at < 0 ? std::max<std::int64_t>(at + length, 0) : at;
  };
  const std::int64_t first = bound(1, "start", 0), last = std::min(bound(2, "end", length), length);
  if (first > last) return {"", 0, false};
  const std::size_t begin = offsets[static_cast<std::size_t>(first)];
  return {view.substr(begin, offsets[static_cast<std::size_t>(last)] - begin), first};
}

// startswith and endswith take one string or a tuple of them.
template <typename Matches>
bool MatchesAny(const Value& affix, Matches matches) {
  const auto one = [&](const Value& value) {
    if (!value.is_string()) throw Failure(Cat("expected a string or a tuple of strings, found a ", value.TypeName()));
    return matches(value.text().view());
  };
  if (!affix.is(Value::Type::kTuple)) return one(affix);
  return std::any_of(affix.items().begin(), affix.items().end(), one);
}

Value Startswith(Evaluator&, const Value& self, const Args& args) {
  const Window window = WindowOf(self, args);
  return Value(MatchesAny(args.Required(0, "prefix"),
                          [&](std::string_view prefix) { return window.exists && window.text.starts_with(prefix); }));
}
Value Endswith(Evaluator&, const Value& self, const Args& args) {
  const Window window = WindowOf(self, args);
  return Value(MatchesAny(args.Required(0, "suffix"),
                          [&](std::string_view suffix) { return window.exists && window.text.ends_with(suffix); }));
}

Value ReplaceMethod(Evaluator& e, const Value& self, const Args& args) {
  return Replace(e, self.text(), TextArgument(args, 0, "old"), TextArgument(args, 1, "new"),
                 args.Integer(2, "count", -1));
}

Value Removeprefix(Evaluator&, const Value& self, const Args& args) {
  const std::string_view affix = TextArgument(args, 0, "prefix").view();
  return self.text().view().starts_with(affix) ? Value(self.text().Part(affix.size())) : self;
}
Value Removesuffix(Evaluator&, const Value& self, const Args& args) {
  const std::string_view affix = TextArgument(args, 0, "suffix").view();
  return self.text().view().ends_with(affix) ? Value(self.text().Part(0, self.text().size() - affix.size())) : self;
}

template <bool kFromRight, bool kMustExist>
Value Find(Evaluator&, const Value& self, const Args& args) {
  const Window window = WindowOf(self, args);
  const std::string_view view = window.text, wanted = TextArgument(args, 0, "sub").view();
  const std::size_t at = kFromRight ? FindLastText(view, wanted) : FindText(view, wanted);
  if (window.exists && at != std::string_view::npos) {
    return Value(window.first + static_cast<std::int64_t>(CountCharacters(view.substr(0, at))));
  }
  if (kMustExist) throw Failure("the text is not found in the string");
  return Value(std::int64_t{-1});
}

Value Count(Evaluator&, const Value& self, const Args& args) {
  const Window window = WindowOf(self, args);
  const std::string_view view = window.text, wanted = TextArgument(args, 0, "sub").view();
  if (!window.exists) return Value(std::int64_t{0});
  if (wanted.empty()) return Value(static_cast<std::int64_t>(CountCharacters(view)) + 1);
  std::int64_t count = 0;
  for (std::size_t at = FindText(view, wanted); at != view.npos; at = FindText(view, wanted, at + wanted.size()))
    ++count;
  return Value(count);
}

Value FormatMethod(Evaluator& e, const Value& self, const Args& args) {
  return Value(FormatBraces(self.text(), args, e.budget()));
}

Value Join(Evaluator& e, const Value& self, const Args& args) {
  Text out;
  bool first = true;
  for (const Value& item : Elements(args.Required(0, "iterable"), e.budget())) {
    if (!item.is_string()) throw Failure(Cat("join needs strings, found a ", item.TypeName()));
    if (!std::exchange(first, false)) out.Append(self.text());
    e.budget().ChargeText(item.text().size() + self.text().size());
    e.budget().CheckText(out.size() + item.text().size());
    out.Append(item.text());
  }
  return Value(std::move(out));
}

template <CharClasses kClasses>
Value IsAll(Evaluator&, const Value& self, const Args&) {
  const std::string_view view = self.text().view();
  for (std::size_t i = 0; i < view.size();) {
    const Utf8Char c = DecodeUtf8(view, i);
    if ((ClassOf(c.code_point) & kClasses) == 0) return Value(false);
    i += c.size;
  }
  return Value(!view.empty());
}

// All letters that have a case have this one, and there is one.
template <CharClasses kWanted>
Value IsCase(Evaluator&, const Value& self, const Args&) {
  const std::string_view view = self.text().view();
  bool any = false;
  for (std::size_t i = 0; i < view.size();) {
    const Utf8Char c = DecodeUtf8(view, i);
    const CharClasses cased = ClassOf(c.code_point) & (kUpperCase | kLowerCase);
    if (cased != 0 && cased != kWanted) return Value(false);
    any |= cased != 0;
    i += c.size;
  }
  return Value(any);
}

template <Alignment kAlignment>
Value Justify(Evaluator& e, const Value& self, const Args& args) {
  const Text fill = args.Find(1, "fillchar") != nullptr ? TextArgument(args, 1, "fillchar") : Text(" ", true);
  if (CountCharacters(fill.view()) != 1) throw Failure("the fill must be one character");
  return Value(Pad(self.text(), args.Integer(0, "width", 0), kAlignment, fill, e.budget()));
}

Value Zfill(Evaluator& e, const Value& self, const Args& args) {
  const Text& text = self.text();
  const bool sign = text.view().starts_with('-') || text.view().starts_with('+');
  Text out = text.Part(0, sign ? 1 : 0);
  const std::int64_t width = std::max<std::int64_t>(args.Integer(0, "width", 0), 0);
  out.Append(Pad(text.Part(sign ? 1 : 0), width - (sign ? 1 : 0), Alignment::kRight, Text("0", true), e.budget()));
  return Value(std::move(out));
}

Value Expandtabs(Evaluator& e, const Value& self, const Args& args) {
  const std::int64_t size = args.Integer(0, "tabsize", 8);
  std::int64_t column = 0;
  Text out;
  for (const Value& character : Elements(self, e.budget())) {
    const std::string_view c = character.text().view();
    if (c == "\t") {
      const std::int64_t spaces = size > 0 ? size - column % size : 0;
      out.Append(Pad(Text(), spaces, Alignment::kLeft, Text(" ", true), e.budget()));
      column += spaces;
      e.budget().CheckText(out.size());
    } else {
      out.Append(character.text());
      column = c == "\n" || c == "\r" ? 0 : column + 1;
    }
  }
  return Value(std::move(out));
}

constexpr std::array<Function, 39> kMethods = {{
    {"upper", Upper, ""},
    {"lower", Lower, ""},
    {"casefold", Lower, ""},
    {"capitalize", Capitalize, ""},
    {"swapcase", Swapcase, ""},
    {"title", TitleMethod, ""},
    {"strip", StripMethod<Ends::kBoth>, "chars"},
    {"lstrip", StripMethod<Ends::kLeft>, "chars"},
    {"rstrip", StripMethod<Ends::kRight>, "chars"},
    {"split", Split<false>, "sep maxsplit"},
    {"rsplit", Split<true>, "sep maxsplit"},
    {"splitlines", Splitlines, "keepends"},
    {"partition", Partition<false>, "sep"},
    {"rpartition", Partition<true>, "sep"},
    {"startswith", Startswith, "prefix start end"},
    {"endswith", Endswith, "suffix start end"},
    {"replace", ReplaceMethod, "old new count"},
    {"removeprefix", Removeprefix, "prefix"},
    {"removesuffix", Removesuffix, "suffix"},
    {"find", Find<false, false>, "sub start end"},
    {"rfind", Find<true, false>, "sub start end"},
    {"index", Find<false, true>, "sub start end"},
    {"rindex", Find<true, true>, "sub start end"},
    {"count", Count, "sub start end"},
    {"format", FormatMethod, "*"},
    {"join", Join, "iterable"},
    {"isdigit", IsAll<kNumber>, ""},
    {"isnumeric", IsAll<kNumber>, ""},
    {"isdecimal", IsAll<kNumber>, ""},
    {"isalpha", IsAll<kLetter>, ""},
    {"isalnum", IsAll<kLetter | kNumber>, ""},
    {"isspace", IsAll<kSpace>, ""},
    {"islower", IsCase<kLowerCase>, ""},
    {"isupper", IsCase<kUpperCase>, ""},
    {"ljust", Justify<Alignment::kLeft>, "width fillchar"},
    {"rjust", Justify<Alignment::kRight>, "width fillchar"},
    {"center", Justify<Alignment::kCenter>, "width fillchar"},
    {"zfill", Zfill, "width"},
    {"expandtabs", Expandtabs, "tabsize"},
}};

}  // namespace

std::span<const Function> StringMethods() { return kMethods; }

}  // namespace slm::jinja
