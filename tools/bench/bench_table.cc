#include "bench_table.h"

#include <algorithm>
#include <cinttypes>
#include <cstddef>
#include <cstdio>

namespace slm::tools {

namespace {

// Characters that begin in the text: "±" is two bytes, but one column.
std::size_t Columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string AlignedLine(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths) {
  std::string line = cells[0] + std::string(widths[0] - Columns(cells[0]), ' ');
  for (std::size_t i = 1; i < cells.size(); ++i) {
    line += std::string(2 + widths[i] - Columns(cells[i]), ' ') + cells[i];
  }
  return line + '\n';
}

std::string MarkdownLine(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += ' ' + cell + " |";
  return line + '\n';
}

}  // namespace

std::string Table::Aligned() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < header.size(); ++i) {
    widths.push_back(Columns(header[i]));
    for (const std::vector<std::string>& row : rows) widths[i] = std::max(widths[i], Columns(row[i]));
  }
  std::string text = AlignedLine(header, widths);
  for (const std::vector<std::string>& row : rows) text += AlignedLine(row, widths);
  return text;
}

std::string Table::Markdown() const {
  std::string text = MarkdownLine(header) + "|---|";
  for (std::size_t i = 1; i < header.size(); ++i) text += "---:|";
  text += '\n';
  for (const std::vector<std::string>& row : rows) text += MarkdownLine(row);
  return text;
}

std::string Fixed(double value, int digits) {
  char text[400];  // the largest double has 309 digits before the point
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string Percent(double share) { return Fixed(100 * share, 1) + " %"; }

std::string Hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, value);
  return text;
}

}  // namespace slm::tools
