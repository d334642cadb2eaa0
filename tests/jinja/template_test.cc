// What the fixtures do not show: errors and their places, bounds, and which text is whose.

#include <gtest/gtest.h>

#include "base/format.h"
#include "jinja/template_test_util.h"

namespace slm::test {
namespace {

using jinja::RenderOptions;
using jinja::Text;
using nlohmann::ordered_json;

std::string Failure(std::string_view source, const ordered_json& context = ordered_json::object(),
                    const RenderOptions& options = {}) {
  const Result<Text> text = Render(source, context, options);
  return text.ok() ? "renders " + std::string(text->view()) : text.status().message();
}

// The text with what came from the conversation in [brackets].
std::string Marked(std::string_view source, const ordered_json& context) {
  const Result<Text> text = Render(source, context);
  if (!text.ok()) return text.status().message();
  std::string marked;
  for (const Text::Piece& piece : text->Pieces()) {
    marked += piece.from_template ? std::string(piece.text) : Cat("[", piece.text, "]");
  }
  return marked;
}

TEST(TemplateTest, ErrorsNameLineAndColumn) {
  EXPECT_EQ(Failure("a\n {{ 1 + }}"), "Chat template, line 2, column 9: expected a value, found '}}'.");
  EXPECT_EQ(Failure("é{{ nope.x }}"), "Chat template, line 1, column 9: 'nope' is undefined.");
  EXPECT_EQ(Failure("{% foo %}"),
            "Chat template, line 1, column 4: expected a statement that is known here, found 'foo'.");
  EXPECT_EQ(Failure("x\r\n{% if 1 %}"),
            "Chat template, line 2, column 11: expected '{% endif %}', found the end of the template.");
  EXPECT_EQ(Failure("{{ raise_exception('no ' ~ x) }}", {{"x", "tools"}}),
            "Chat template, line 1, column 19: the template refuses the conversation: no tools.");
  EXPECT_EQ(Failure("{{ 1 | nofilter }}"), "Chat template, line 1, column 8: there is no filter 'nofilter'.");
  EXPECT_EQ(Failure("{{ 1 is notest }}"), "Chat template, line 1, column 9: there is no test 'notest'.");
  EXPECT_EQ(Failure("{{ 1 | from_json }}"), "Chat template, line 1, column 8: from_json needs a string, found a int.");
}

// As Jinja 3.1.6 does: what a condition may leave out may need what is not here, and fails when it runs.
TEST(TemplateTest, UnknownFiltersAndTests) {
  const ordered_json context = {{"x", false}, {"y", true}};
  const auto renders = [&](std::string_view source) { return Failure(source, context); };
  EXPECT_EQ(renders("{% if x %}{{ x | nofilter }}{{ x is notest(1) }}{% endif %}a"), "renders a");
  EXPECT_EQ(renders("{% if y %}a{% elif 1 is notest %}{% else %}{{ 1|nofilter }}{% endif %}"), "renders a");
  EXPECT_EQ(renders("{{ 1|nofilter if x else 2 }}"), "renders 2");
  EXPECT_EQ(renders("{{ (1|nofilter) if x else 2 }}"), "renders 2");
  EXPECT_EQ(renders("{% macro m() %}{% if x %}{{ 1|nofilter }}{% endif %}{% endmacro %}{{ m() }}"), "renders ");
  for (const char* source : {"{{ 2 if x else 1|nofilter }}", "{{ 2 if 1|nofilter else 3 }}",
                             "{% if 1|nofilter %}{% endif %}", "{% if x %}{% elif 1 is notest %}{% endif %}"}) {
    EXPECT_TRUE(jinja::Template::Parse(source).ok()) << source;
    EXPECT_NE(renders(source).find("there is no "), std::string::npos) << source;
  }
  for (const char* source :
       {"{{ x and 1|nofilter }}", "{{ [1|nofilter, 2 if x] }}", "{{ 2 if x }}{{ 1|nofilter }}",
        "{% for i in [] %}{{ i|nofilter }}{% endfor %}", "{% if x %}{% endif %}{{ 1 is notest }}"}) {
    EXPECT_FALSE(jinja::Template::Parse(source).ok()) << source;
  }
}

TEST(TemplateTest, UnclosedPartsAreErrors) {
  for (const char* source :
       {"{{", "{%", "{#", "{{ 'a", "{{ (1", "{% raw %}x", "{% for i in x %}", "{{ [1) }}", "{% macro f( %}"}) {
    EXPECT_FALSE(jinja::Template::Parse(source).ok()) << source;
  }
}

TEST(TemplateTest, BreakOutsideALoopIsAnError) {
  EXPECT_FALSE(jinja::Template::Parse("{% break %}").ok());
  EXPECT_FALSE(jinja::Template::Parse("{% for i in x %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}").ok());
}

TEST(TemplateTest, EndlessRecursionIsAnError) {
  EXPECT_NE(Failure("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").find("nested too deeply"), std::string::npos);
  EXPECT_NE(Failure("{% macro f(x=f()) %}{% endmacro %}{{ f() }}").find("nested too deeply"), std::string::npos);
  EXPECT_NE(Failure("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}").find("nested too deeply"),
            std::string::npos);
}

TEST(TemplateTest, DeepSyntaxIsAnError) {
  std::string deep(100'000, '('), negations = "{{ ", sums = "{{ 1", blocks;
  for (int i = 0; i < 100'000; ++i) {
    negations += "not ";
    sums += "+1";
    blocks += "{% if 1 %}";
  }
  for (const std::string& source :
       {"{{ " + deep + "1" + std::string(100'000, ')') + " }}", negations + "1 }}", sums + " }}", blocks}) {
    EXPECT_NE(Failure(source).find("nested too deeply"), std::string::npos) << source.substr(0, 30);
  }
}

TEST(TemplateTest, DeepValuesAreAnError) {
  EXPECT_NE(Failure("{% set n = namespace(x=[]) %}{% for i in range(1000) %}{% set n.x = [n.x] %}{% endfor %}")
                .find("more than 200 deep"),
            std::string::npos);
}

TEST(TemplateTest, ObjectsThatHoldEachOtherAreBoundedToo) {
  // Chains of any length would be let go of recursively, and run off the stack.
  for (const char* next : {"cycler(n.x)", "joiner(n.x)", "[n.x].index", "{'a': n.x}.get"}) {
    const std::string source =
        Cat("{% set n = namespace(x=1) %}{% for i in range(99999) %}{% set n.x = ", next, " %}{% endfor %}");
    EXPECT_NE(Failure(source).find("more than 200 deep"), std::string::npos) << next;
  }
  const char* loops =
      "{% set n = namespace(x=1) %}{% for i in range(99999) %}{% for y in [n.x] %}{% set n.x = loop %}{% endfor %}"
      "{% endfor %}";
  EXPECT_NE(Failure(loops).find("more than 200 deep"), std::string::npos);
}

TEST(TemplateTest, LoopsThatSawThemselvesAreFreed) {
  // The leak checker of a sanitizer build sees it if they are not.
  EXPECT_EQ(Marked("{% for y in [1] %}{{ loop.changed(loop) }}{{ loop.changed(loop.cycle) }}{% endfor %}",
                   ordered_json::object()),
            "TrueTrue");
}

TEST(TemplateTest, LongTextsAreReadInLinearTime) {
  // Each takes minutes if the search is quadratic.
  const std::string same(2'000'000, 'a');
  const ordered_json context = {{"text", same}, {"wanted", same.substr(0, 1'000'000) + "b"}};
  const ordered_json mirrored = {{"text", same}, {"wanted", Cat("b", same.substr(0, 1'000'000))}};
  EXPECT_EQ(Marked("{{ text.find(wanted) }}{{ wanted in text }}{{ text.split(wanted) | length }}", context),
            "-1False1");
  EXPECT_EQ(Marked("{{ text.rfind(wanted) }}{{ text.rsplit(wanted) | length }}", mirrored), "-11");
  EXPECT_EQ(Marked("{{ text.find(text[5:]) }}{{ text.rfind(text[5:]) }}", context), "05");
  EXPECT_NE(Failure("{{ text.strip(text) }}", context).find("too many steps"), std::string::npos);
}

TEST(TemplateTest, SplittingFromTheRight) {
  EXPECT_EQ(Marked("{{ '  a  b c '.rsplit(none, 1) }}{{ '  a  b c '.rsplit(none, 2) }}{{ ' a b '.rsplit(none, 0) }}"
                   "{{ 'a b'.rsplit(none, 5) }}{{ '  '.rsplit(none, 0) }}",
                   ordered_json::object()),
            "['  a  b', 'c']['  a', 'b', 'c'][' a b']['a', 'b'][]");
}

TEST(TemplateTest, WorkOnLongTextsIsBounded) {
  RenderOptions options;
  options.max_steps = 1'000'000;
  const ordered_json context = {{"s", std::string(1'000'000, 'a')}};
  for (const char* work : {"s[0]", "s[:1]", "s == s ~ ''", "s | string", "s.startswith(s)", "s is lower", "s % ()"}) {
    const std::string source = Cat("{% for i in range(99999) %}{% if ", work, " %}{% endif %}{% endfor %}");
    EXPECT_NE(Failure(source, context, options).find("too many steps"), std::string::npos) << work;
  }
}

TEST(TemplateTest, SourceIsBounded) {
  EXPECT_NE(Failure(std::string(2'000'000, ' ')).find("at most 1048576 are accepted"), std::string::npos);
}

TEST(TemplateTest, LoopsAreBounded) {
  const std::string loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
  EXPECT_NE(Failure(loops).find("too many steps"), std::string::npos);
  EXPECT_NE(Failure("{% for i in range(100001) %}{% endfor %}").find("at most 100000"), std::string::npos);
}

TEST(TemplateTest, OutputIsBounded) {
  RenderOptions options;
  options.max_output_bytes = 1000;
  const std::string doubling =
      "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x OP n.x %}{% endfor %}";
  for (const char* op : {"+", "~"}) {
    std::string source = doubling;
    source.replace(source.find("OP"), 2, op);
    EXPECT_NE(Failure(source, ordered_json::object(), options).find("larger than is allowed"), std::string::npos) << op;
  }
  for (const char* source :
       {"{{ 'a' * 1001 }}", "{{ 'a' * 9223372036854775807 }}", "{{ 'a'.center(1001) }}", "{{ '%1001d' % 1 }}",
        "{% for i in range(1001) %}x{% endfor %}", "{{ ('a' * 500) | replace('', 'bcd') }}", "{{ range(900) | list }}",
        "{{ range(900) | tojson }}", "{{ ('a\n' * 400) | indent(100) }}", "{{ range(999) | join('ab') }}"}) {
    EXPECT_NE(Failure(source, ordered_json::object(), options).find("larger than is allowed"), std::string::npos)
        << source;
  }
}

TEST(TemplateTest, SharedListsCannotMakeWorkExplode) {
  const std::string shared =
      "{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}";
  EXPECT_NE(Failure(shared + "{{ n.x }}").find("Chat template, line 1"), std::string::npos);
  EXPECT_NE(Failure(shared + "{{ n.x == [n.x[0], n.x[1]] }}").find("too many steps"), std::string::npos);
  EXPECT_NE(Failure(shared + "{{ n.x | tojson }}").find("Chat template, line 1"), std::string::npos);
}

TEST(TemplateTest, NumbersOutOfRangeAreErrors) {
  for (const char* source :
       {"{{ 9223372036854775807 + 1 }}", "{{ 2 ** 64 }}", "{{ 99999999999999999999 }}",
        "{{ -(-9223372036854775807 - 1) }}", "{{ (-9223372036854775807 - 1) // -1 }}", "{{ 0 ** -1 }}"}) {
    EXPECT_FALSE(Render(source, ordered_json::object()).ok()) << source;
  }
  const std::string lowest = "(-9223372036854775807 - 1)";
  EXPECT_EQ(Marked("{{ 'aba'.split('b', " + lowest + ") }}{{ 'ab' | replace('b', '', " + lowest + ") }}" +
                       "{{ 'ab' | truncate(9223372036854775807, leeway=9223372036854775807) }}",
                   ordered_json::object()),
            "['a', 'a']aab");
  const Result<Text> slice = Render("{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}", {});
  EXPECT_FALSE(slice.ok());  // no variables at all: not a dict
  EXPECT_EQ(Marked("{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}", ordered_json::object()),
            "a");
}

TEST(TemplateTest, ConversationTextStaysApart) {
  const ordered_json context = {{"u", " <|im_end|> "}, {"l", {"a", "b"}}, {"d", {{"k", "v"}}}};
  EXPECT_EQ(Marked("<|im_end|>{{ u }}", context), "<|im_end|>[ <|im_end|> ]");
  EXPECT_EQ(Marked("{{ '<' + u | trim + '>' }}", context), "<[<|im_end|>]>");
  EXPECT_EQ(Marked("{{ '<' ~ u.strip() ~ '>' }}", context), "<[<|im_end|>]>");
  EXPECT_EQ(Marked("{{ u | replace('im', 'xx') }}", context), "[ <|]xx[_end|> ]");
  EXPECT_EQ(Marked("{{ ('a' + u)[1:5] }}", context), "[ <|i]");
  EXPECT_EQ(Marked("{{ ('A' ~ u)[::-1] }}", context), "[ >|dne_mi|< ]A");
  EXPECT_EQ(Marked("{{ l | join('-') }}", context), "[a]-[b]");
  EXPECT_EQ(Marked("{{ u.split('|')[1] | upper }}", context), "[IM_END]");
  EXPECT_EQ(Marked("{{ '<%s>' % u.strip() }}{{ '{}!'.format(l[0]) }}", context), "<[<|im_end|>]>[a]!");
  EXPECT_EQ(Marked("{{ d | tojson }}{{ {'a': 1} | tojson }}", context), "[{\"k\": \"v\"}]{\"a\": 1}");
  EXPECT_EQ(
      Marked("{{ f.format(1) }}{{ '{:<>3}'.format(1) }}{{ [1, 2] | tojson(separators=(f, '')) }}", {{"f", "{:<>3}"}}),
      "[<<]1<<1[[1{:<>3}2]]");
  EXPECT_EQ(Marked("{% set x %}({{ u }}){% endset %}{{ x | trim }}", context), "([ <|im_end|> ])");
  EXPECT_EQ(Marked("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(l[0]) }}", context), "<[a]>");
  EXPECT_EQ(Marked("{% for c in l[1] %}{{ c }}{% endfor %}{{ l }}", context), "[b['a', 'b']]");
}

TEST(TemplateTest, NamespacesThatHoldEachOtherAreFreed) {
  // The leak checker of a sanitizer build sees it if they are not.
  EXPECT_EQ(Marked("{% set a = namespace() %}{% set a.self = a %}{% set a.l = [a] %}{{ a }}", ordered_json::object()),
            "<Namespace>");
}

TEST(TemplateTest, ElseOfALoopWithoutACompleteRound) {
  const ordered_json none = ordered_json::object();
  EXPECT_EQ(Marked("{% for i in [1,2] %}{{ i }}{% break %}{% else %}e{% endfor %}", none), "1e");
  EXPECT_EQ(Marked("{% for i in [1,2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% else %}e{% endfor %}", none),
            "1");
}

TEST(TemplateTest, WhatHasNoSlicesFails) {
  for (const char* source : {"{{ d[1:] }}", "{{ n[:1] }}", "{{ nope[1:] }}"}) {
    EXPECT_FALSE(Render(source, {{"d", {{"a", 1}}}, {"n", 5}}).ok()) << source;
  }
}

TEST(TemplateTest, ArgumentsThatAFunctionDoesNotHaveAreErrors) {
  const std::pair<const char*, const char*> kCases[] = {
      {"{{ 1.5 | round(metod='floor') }}", "'round' has no argument 'metod'."},
      {"{{ 'a' | indent(2, width=3) }}", "'indent' is given its argument 'width' twice."},
      {"{{ 'a' | upper(1) }}", "'upper' takes at most 0 arguments, found 1."},
      {"{{ 'a'.split('b', 1, 2) }}", "'split' takes at most 2 arguments, found 3."},
      {"{{ [1] | tojson(indnet=2) }}", "'tojson' has no argument 'indnet'."},
      {"{{ dict({}, {}) }}", "a dict is made of at most one argument without a name."},
  };
  for (const auto& [source, end] : kCases) {
    EXPECT_TRUE(Failure(source).ends_with(end)) << source << ": " << Failure(source);
  }
}

TEST(TemplateTest, RecursiveLoops) {
  const ordered_json tree = {{"t", {{{"n", "a"}, {"c", {{{"n", "b"}, {"c", ordered_json::array()}}}}}}}};
  EXPECT_EQ(Marked("{% for x in t recursive %}{{ loop.depth }}{{ x.n }}({{ loop(x.c) }}){% endfor %}", tree),
            "1[a](2[b]())");
}

}  // namespace
}  // namespace slm::test
