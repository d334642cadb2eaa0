// What chat templates in use rely on, one line each, with the answers of Jinja2 as transformers sets it up.

#include <gtest/gtest.h>

#include <ostream>

#include "jinja/template_test_util.h"
#include "support/json.h"

namespace slm::test {
namespace {

using nlohmann::ordered_json;

const ordered_json& Conversation() {
  static const ordered_json context = ParseOrderedJson(R"({"messages": [
      {"role": "system", "content": "S"},
      {"role": "user", "content": " hi "},
      {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
      {"role": "user", "content": [{"type": "text", "text": "x"}]}]})");
  return context;
}

std::string Rendered(std::string_view source) {
  jinja::RenderOptions options;
  options.now = Midnight("2024-07-06");
  const Result<jinja::Text> text = Render(source, Conversation(), options);
  return text.ok() ? std::string(text->view()) : "ERROR " + text.status().message();
}

struct Line {
  const char* source;
  const char* rendered;
};
std::ostream& operator<<(std::ostream& out, const Line& line) { return out << line.source; }

class AppendixBTest : public testing::TestWithParam<Line> {};

TEST_P(AppendixBTest, Renders) { EXPECT_EQ(Rendered(GetParam().source), GetParam().rendered) << GetParam().source; }

constexpr Line kTable[] = {
    {"{% set x=0 %}{% for i in [1,2,3] %}{% set x=i %}{% endfor %}{{ x }}", "0"},
    {"{% set ns=namespace(x=0,f=false) %}{% for i in [1,2,3] %}{% set ns.x=ns.x+i %}{% endfor %}{{ ns.x }}|{{ ns.f }}",
     "6|False"},
    {"{{ messages[1:]|length }}|{{ 'abcdef'[:-1] }}|{{ 'abcdef'[::2] }}|{{ messages[-1].content[0]['text'] }}",
     "3|abcde|ace|x"},
    {"{% for m in messages %}{{ m.content is string }},{% endfor %}", "True,True,False,False,"},
    {"{% for m in messages %}{{ m.content is iterable }},{% endfor %}", "True,True,False,True,"},
    {"{% for m in messages %}{{ m.content is none }},{% endfor %}", "False,False,True,False,"},
    {"{% for m in messages %}{{ m.content is mapping }},{% endfor %}", "False,False,False,False,"},
    {"A\n    {% if true %}\n  B\n    {% endif %}\nC\n", "A\n  B\nC"},
    {"A  {%- if true -%}  B  {%- endif -%}  C {{- ' D ' -}} E", "ABC D E"},
    {"{{ ' a<x>b '.strip().split('<x>')|last }}", "b"},
    {"{{ '\\n\\nq\\n'.lstrip('\\n') }}", "q\n"},
    {"{{ [3,1]|join(',') }}", "3,1"},
    {"{{ {'a':1}|items|list }}", "[('a', 1)]"},
    {"{{ messages|selectattr('role','equalto','user')|list|length }}", "2"},
    {"{{ messages|map(attribute='role')|join('-') }}", "system-user-assistant-user"},
    {"{{ none|default('d') }}", "None"},
    {"{{ nope|default('d') }}", "d"},
    {"{{ '' or 'z' }}", "z"},
    {"{{ 'x' ~ none ~ 1 ~ true }}", "xNone1True"},
    {"{{ 7//2 }} {{ 7/2 }} {{ -7%3 }} {{ 1.0 }} {{ true }} {{ none }} {{ [1,'a',none,true] }}",
     "3 3.5 2 1.0 True None [1, 'a', None, True]"},
    {"[{{ nope }}]", "[]"},
    {"{% for i in [] %}x{% else %}empty{% endfor %}", "empty"},
    {"{{ 'a' if false }}", ""},
    {"{% macro f(a,b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ f(1) }}{{ f(1,b=3) }}", "1-21-3"},
    {"{{ {'a':[1,{'b':2}]}|tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    {\n      \"b\": 2\n    }\n  ]\n}"},
};
INSTANTIATE_TEST_SUITE_P(Table, AppendixBTest, testing::ValuesIn(kTable));

// B26: the order of insertion, ", " and ": ", nothing escaped for HTML, characters kept, keyword arguments accepted.
constexpr Line kJson[] = {
    {"{{ {\"b\":1,\"a\":\"a/b <x> & 'é'\"}|tojson }}", "{\"b\": 1, \"a\": \"a/b <x> & 'é'\"}"},
    {"{{ {\"b\":1,\"a\":\"é\"}|tojson(ensure_ascii=False) }}", "{\"b\": 1, \"a\": \"é\"}"},
    {"{{ 'é🦙'|tojson(ensure_ascii=True) }}", "\"\\u00e9\\ud83e\\udd99\""},
    {"{{ [1]|tojson(indent=2) }}", "[\n  1\n]"},
    {"{{ {'b':1,'a':[]}|tojson(sort_keys=true,separators=(',',':')) }}", "{\"a\":[],\"b\":1}"},
    {"{{ messages[2].tool_calls[0].function.arguments|tojson }}", "{\"a\": 1}"},
};
INSTANTIATE_TEST_SUITE_P(Json, AppendixBTest, testing::ValuesIn(kJson));

// B27: what other engines lack.
constexpr Line kSubset[] = {
    {"{{ strftime_now('%d %b %Y') }}", "06 Jul 2024"},
    {"{{ strftime_now('%B %-d, %Y, %A %H:%M:%S %j') }}", "July 6, 2024, Saturday 00:00:00 188"},
    {"{{ strftime_now('%a %A %b %B %c %C %d %D %e %f') }}",
     "Sat Saturday Jul July Sat Jul  6 00:00:00 2024 20 06 07/06/24  6 000000"},
    {"{{ strftime_now('%F %g %G %h %H %I %j %m %M %p %R %S') }}", "2024-07-06 24 2024 Jul 00 12 188 07 00 AM 00:00 00"},
    {"{{ strftime_now('%T %u %U %V %w %W %x %X %y %Y %-d %-e %%') }}",
     "00:00:00 6 26 27 6 27 07/06/24 00:00:00 24 2024 6 6 %"},
    {"{{ strftime_now('%k %') }}", "%k %"},
    {"a{% generation %}b{% endgeneration %}c", "abc"},
    {"{% if strftime_now is defined %}y{% endif %}", "y"},
    {"{{ '}' ~ \"}}\" ~ '%}' }}", "}}}%}"},
    {"{{ {'a': {'b': '}'}}['a']['b'] }}", "}"},
    {"{% set id = '12345678' %}{{ id|length == 9 }}", "False"},
    {"{{ (messages[2].content or '').split('</think>')[-1].lstrip('\\n').rstrip() }}", ""},
    {"{% set found = false %}{% for m in messages %}{% if m.role == 'user' %}{% set found = true %}{% endif %}"
     "{% endfor %}{{ found }}",
     "False"},
};
INSTANTIATE_TEST_SUITE_P(Subset, AppendixBTest, testing::ValuesIn(kSubset));

// The message ends with what `rendered` holds.
constexpr Line kErrors[] = {
    {"{{ 'x' + messages[2].content }}", "line 1, column 8: '+' does not work on a str and a None."},
    {"{{ nope.x }}", "line 1, column 8: 'nope' is undefined."},
    {"{{ raise_exception('System role not supported') }}",
     "line 1, column 19: the template refuses the conversation: System role not supported."},
    {"\n{{ messages[2].content.split('x') }}", "line 2, column 29: 'None object' has no attribute 'split'."},
    {"{{ messages[2].content.lstrip() }}", "line 1, column 30: 'None object' has no attribute 'lstrip'."},
    {"{{ messages[2].content|trim|length }}{{ messages[2].content.rstrip() }}",
     "line 1, column 67: 'None object' has no attribute 'rstrip'."},
    {"a\n  {% unknown %}", "line 2, column 6: expected a statement that is known here, found 'unknown'."},
    {"{% include 'other' %}", "line 1, column 4: expected a statement that is known here, found 'include'."},
    {"{% import 'other' as o %}", "line 1, column 4: expected a statement that is known here, found 'import'."},
    {"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
     "the template is nested too deeply; it may recurse without end."},
    {"{% macro f(x) %}{% call f(x) %}{{ caller() }}{% endcall %}{% endmacro %}{{ f(1) }}",
     "the template is nested too deeply; it may recurse without end."},
};

TEST(AppendixBErrorsTest, HaveReasonLineAndColumn) {
  for (const Line& line : kErrors) {
    const std::string message = Rendered(line.source);
    EXPECT_TRUE(message.starts_with("ERROR Chat template, line ")) << line.source << '\n' << message;
    EXPECT_TRUE(message.ends_with(line.rendered)) << line.source << '\n' << message;
  }
}

// Of every construct that can stand inside itself, 20,000 levels: an error, not a crash.
TEST(AppendixBErrorsTest, EndlessNestingIsAnError) {
  constexpr struct {
    const char *before, *open, *close, *after;
  } kNested[] = {
      {"", "{% if 1 %}", "{% endif %}", ""},
      {"", "{% if 1 %}{% else %}", "{% endif %}", ""},
      {"", "{% for x in y %}", "{% endfor %}", ""},
      {"", "{% macro f() %}", "{% endmacro %}", ""},
      {"", "{% call f() %}", "{% endcall %}", ""},
      {"", "{% set x %}", "{% endset %}", ""},
      {"", "{% with %}", "{% endwith %}", ""},
      {"", "{% filter upper %}", "{% endfilter %}", ""},
      {"", "{% generation %}", "{% endgeneration %}", ""},
      {"{{ ", "(", ")", " }}"},
      {"{{ ", "[", "]", " }}"},
      {"{{ x", "[x", "]", " }}"},
      {"{{ ", "{1:", "}", " }}"},
      {"{{ ", "f(", ")", " }}"},
      {"{{ ", "not ", "", "1 }}"},
      {"{{ ", "-", "", "1 }}"},
      {"{{ ", "1 if 1 else ", "", "1 }}"},
      {"{{ 1", "|d(1", ")", " }}"},
      {"{{ 1", " is in(1", ")", " }}"},
      {"{% set ", "(", ")", " = 1 %}"},
      {"{% for ", "(", ")", " in x %}{% endfor %}"},
  };
  for (const auto& nested : kNested) {
    std::string source = nested.before;
    for (int i = 0; i < 20'000; ++i) source += nested.open;
    for (int i = 0; i < 20'000; ++i) source += nested.close;
    source += nested.after;
    const std::string message = Rendered(source);
    EXPECT_TRUE(message.starts_with("ERROR Chat template, line 1, column ")) << nested.open << '\n' << message;
    EXPECT_NE(message.find("nested too deeply"), std::string::npos) << nested.open << '\n' << message;
  }
}

}  // namespace
}  // namespace slm::test
