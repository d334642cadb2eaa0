// The merge loop that both kinds of byte-pair encoding share.

#ifndef SLM_TEXT_PAIR_MERGER_H_
#define SLM_TEXT_PAIR_MERGER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "slm/tokenizer.h"

namespace slm {

// What a pair of neighbours becomes, and how early: lower ranks first.
struct Merge {
  std::uint32_t rank;
  Token token;
};

// A stretch [begin, end) of what is being encoded.
struct Symbol {
  std::uint32_t begin;
  std::uint32_t end;
  Token token;  // -1: not known
};

// Merges neighbouring symbols, again and again the pair of lowest rank, the leftmost among equals, until no pair can
// merge. O(n log n) in the number of symbols. Keeps its memory between uses.
class PairMerger {
 public:
  void Clear() { nodes_.clear(); }

  // Adds a symbol right of all others.
  void Add(const Symbol& symbol) {
    const auto index = static_cast<std::int32_t>(nodes_.size());
    if (index > 0) nodes_.back().next = index;
    nodes_.push_back({symbol, kNoMerge, index - 1, -1});
  }

  // std::optional<Merge> find(const Symbol& left, const Symbol& right)
  template <typename Find>
  void MergeAll(const Find& find) {
    heap_.clear();
    for (std::int32_t left = 0; left < static_cast<std::int32_t>(nodes_.size()); ++left) {
      if (Propose(left, find)) heap_.push_back(KeyOf(left));
    }
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      const std::uint64_t key = heap_.back();
      heap_.pop_back();
      const auto left = static_cast<std::int32_t>(key & 0xFFFFFFFF);
      // A key outlives its pair if a neighbour was faster.
      if (At(left).merge.token < 0 || KeyOf(left) != key) continue;
      Join(left);
      for (const std::int32_t changed : {left, At(left).previous}) {
        if (changed < 0 || !Propose(changed, find)) continue;
        heap_.push_back(KeyOf(changed));
        std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
      }
    }
  }

  // visit(const Symbol&) from left to right.
  template <typename Visit>
  void ForEach(const Visit& visit) const {
    for (std::int32_t i = nodes_.empty() ? -1 : 0; i >= 0; i = nodes_[static_cast<std::size_t>(i)].next) {
      visit(nodes_[static_cast<std::size_t>(i)].symbol);
    }
  }

 private:
  static constexpr Merge kNoMerge = {0, -1};

  struct Node {
    Symbol symbol;
    Merge merge;  // with the right neighbour
    std::int32_t previous;
    std::int32_t next;  // -1 at the edge
  };

  Node& At(std::int32_t index) { return nodes_[static_cast<std::size_t>(index)]; }

  // Orders by rank, then from left to right.
  std::uint64_t KeyOf(std::int32_t left) {
    return std::uint64_t{At(left).merge.rank} << 32 | static_cast<std::uint32_t>(left);
  }

  // Finds out how `left` merges with its right neighbour now; false if it does not.
  template <typename Find>
  bool Propose(std::int32_t left, const Find& find) {
    Node& node = At(left);
    const std::optional<Merge> merge = node.next < 0 ? std::nullopt : find(node.symbol, At(node.next).symbol);
    node.merge = merge.value_or(kNoMerge);
    return merge.has_value();
  }

  // Makes the right neighbour part of `index`.
  void Join(std::int32_t index) {
    Node& left = At(index);
    Node& right = At(left.next);
    left.symbol.end = right.symbol.end;
    left.symbol.token = left.merge.token;
    left.next = right.next;
    if (left.next >= 0) At(left.next).previous = index;
    right.merge = kNoMerge;
  }

  std::vector<Node> nodes_;
  std::vector<std::uint64_t> heap_;  // keys of pairs that merge, and stale ones
};

}  // namespace slm

#endif  // SLM_TEXT_PAIR_MERGER_H_
