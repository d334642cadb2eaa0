// A template that asks for more memory than it may have is refused, whatever it makes of it.

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string>

#include "jinja/template_test_util.h"

namespace {

// Bytes that the program holds, and the most of them since the last reset.
std::size_t held = 0, most = 0;

}  // namespace

// Not inlined, for then GCC takes malloc and delete for a pair that does not match.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  held += malloc_usable_size(memory);
  most = std::max(most, held);
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  held -= malloc_usable_size(memory);
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept { operator delete(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace slm::test {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kLimit = 4 << 20;

class TemplateMemoryTest : public testing::TestWithParam<const char*> {};

TEST_P(TemplateMemoryTest, IsBounded) {
  const ordered_json context = {{"s", "ab"}, {"x", {3, 1, 2}}, {"d", {{"a", 1}}}};
  const jinja::Template program = jinja::Template::Parse(GetParam()).value();
  const jinja::Value variables = ToValue(context);
  const std::size_t before = held;
  most = held;
  const Result<jinja::Text> text = program.Render(variables, {.max_memory_bytes = kLimit});
  ASSERT_FALSE(text.ok()) << text->size();
  EXPECT_NE(text.status().message().find("the template needs too much memory"), std::string::npos)
      << text.status().message();
  // What is not counted are small things that are few.
  EXPECT_LE(most - before, kLimit + (1 << 20));
  EXPECT_LE(held - before, 1u << 12) << "is given back";
}

// Pairs of characters of different origin take more than others. {L} makes a list of lists.
INSTANTIATE_TEST_SUITE_P(
    Of, TemplateMemoryTest,
    testing::Values(
        "{% set p = s[0] ~ 'b' %}{% set q = p * 1000000 %}{{ q|length }}",
        "{% set p = s[0] ~ 'b' %}{% set a = p * 60000 %}{% set b = p * 60000 %}{% set c = p * 60000 %}x",
        "{% set a = 'a' * 3000000 %}{% set b = a ~ 'b' %}x", "{% set a = 'a' * 3000000 %}{% set b = a|upper %}x",
        "{% set a = 'a' * 3000000 %}{% set b = a + a %}x", "{{ ('a' * 300000)|list|length }}",
        "{% for c in 'a' * 300000 %}{% endfor %}", "{{ ([1] * 300000)|length }}",
        "{{ (range(90000)|list + range(90000)|list)|length }}",
        "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = [n.x[0:0], n.x, i]|list %}{% endfor %}"
        "{{ n.x|length }}{% set n.y = ([[1, 2], [3]] * 90000)|map('list')|list %}",
        "{{ ('a,' * 100000).split(',')|length }}", "{{ ('a\n' * 100000).splitlines()|length }}",
        "{{ ('a ' * 100000).split()|length }}", "{{ ('a' * 2000000)|replace('a', 'bc')|length }}",
        "{{ (['ab'] * 90000)|join(s * 20)|length }}", "{{ ('%100000s|' * 50) % (('a',) * 50) }}",
        "{{ '{:>3000000}'.format('a') ~ '' }}", "{{ 'a'.center(3000000) ~ '' }}", "{{ ('a\n' * 90000)|indent(50) }}",
        "{{ ([s] * 60000)|tojson(indent=40) }}", "{{ ([s * 30] * 60000)|string }}", "{{ (s * 400000)[::-1]|length }}",
        "{{ range(60000)|batch(1)|list|length }}", "{{ range(60000)|map('string')|list|length }}",
        "{{ ([x] * 90000)|map('sort')|list|length }}",
        "{{ range(60000)|groupby('real')|list|length }}{{ [s]|map('list')|list * 99999 }}",
        "{{ dict([[1, 2]]).items()|list * 90000 * 9 }}",
        "{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x[:0], d.items, d.keys, d.get] * 99 %}"
        "{% endfor %}{% for i in range(60) %}{% set n.x = n.x + (([d] * 9999)|map(attribute='items')|list) %}{% endfor "
        "%}",
        "{% set n = namespace(x=[]) %}{% for i in range(999) %}{% set n.x = n.x + [x['nope' * 20000]] * 999 %}{% "
        "endfor %}",
        "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% macro m() %}{% endmacro %}"
        "{% set n.x = n.x + [m, cycler(1), joiner(), namespace(a=1)] * 3000 %}{% endfor %}",
        "{% set x %}{% for i in range(99999) %}{{ s }}b{% endfor %}{% endset %}{% set y = x * 9 %}",
        "{% filter upper %}{% for i in range(99999) %}{{ s }}bcdefghijklmnopqrstuvwxyz{% endfor %}{% endfilter %}",
        "{% macro m(t) %}{{ m(t ~ t) }}{% endmacro %}{{ m('abcdefgh') }}"));

TEST(TemplateMemoryTest, PiecesOfTheResultAreBounded) {
  const Result<jinja::Text> text =
      Render("{% for i in range(60) %}{{ s }}b{% endfor %}", ordered_json{{"s", "a"}}, {.max_pieces = 100});
  ASSERT_FALSE(text.ok());
  EXPECT_NE(text.status().message().find("the template needs too much memory"), std::string::npos);
}

// What a conversation brings does not count, and what is no longer used is given back.
TEST(TemplateMemoryTest, OnlyWhatIsHeldCounts) {
  const ordered_json context = {{"s", std::string(1 << 20, 'a')}};
  const Result<jinja::Text> text = Render("{% for i in range(9) %}{% set t = s|trim %}{{ t|length }}{% endfor %}",
                                          context, {.max_memory_bytes = kLimit});
  EXPECT_TRUE(text.ok()) << text.status().message();
}

}  // namespace
}  // namespace slm::test
