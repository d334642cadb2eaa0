// Tables of text, for a terminal or as Markdown.

#ifndef SLM_TOOLS_BENCH_TABLE_H_
#define SLM_TOOLS_BENCH_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace slm::tools {

// Every row has as many cells as the header. The first column is a name, the others are numbers.
struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;

  std::string Aligned() const;
  std::string Markdown() const;
};

// 12.34; 0 digits: 12.
std::string Fixed(double value, int digits);
// 0.123: "12.3 %"
std::string Percent(double share);
// 16 digits
std::string Hex(std::uint64_t value);

}  // namespace slm::tools

#endif  // SLM_TOOLS_BENCH_TABLE_H_
