// Puts and removes keys in the index as the input says, then compares look-ups and walks with a std::map.
// Input: operations of one byte each, followed by the key they need. A key is a number of repetitions of a letter and
// then some literal bytes, so that long common prefixes are cheap to find.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "index/cursor.hpp"
#include "index/key_index.hpp"
#include "support/index_model.hpp"

namespace {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  [[nodiscard]] bool empty() const { return at_ == end_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *at_++; }
  std::string key() {
    const std::uint8_t shape = byte();
    std::string key((shape >> 4U) * 5U, static_cast<char>('a' + (shape & 3U)));
    for (unsigned i = (shape >> 2U) & 3U; i > 0; --i) key += static_cast<char>(byte());
    return key;
  }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

using Model = std::map<std::string, std::string>;
using Keys = std::vector<std::string>;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "index: %s\n", what);
  std::abort();
}

std::string pattern_of(Input& input) {
  std::string pattern = input.key();
  for (char& byte : pattern) {
    const std::uint8_t draw = input.byte();
    if (draw % 16 == 1) byte = '*';
    if (draw % 16 == 2) byte = '?';
  }
  return pattern + '*';
}

Keys walk(const kv::Part& part, kv::Ref root, const std::string& start, const kv::GlobPattern& glob, bool reverse) {
  kv::Cursor cursor(kv::ByteView(start), std::nullopt, &glob, reverse);
  Keys keys;
  for (bool more = true; more;) {
    Keys page;
    for (const kv::Ref entry : cursor.collect(part, root)) page.emplace_back(kv::key_of(part, entry));
    more = cursor.advance(page.size(), page.empty() ? kv::ByteView() : kv::ByteView(page.back()));
    keys.insert(keys.end(), page.begin(), page.end());
  }
  return keys;
}

void check_walk(const kv::Part& part, kv::Ref root, const Model& model, Input& input) {
  const std::string start = input.key();
  const std::string pattern = pattern_of(input);
  const bool reverse = (input.byte() & 1U) != 0;
  const kv::GlobPattern glob{kv::ByteView(pattern)};
  Keys expected;
  for (auto at = model.lower_bound(start); at != model.end(); ++at) {
    if (glob.matches(at->first)) expected.push_back(at->first);
  }
  if (reverse) std::reverse(expected.begin(), expected.end());
  require(walk(part, root, start, glob, reverse) == expected, "a walk differs from std::map");
}

void apply(kv::Part& part, Model& model, Input& input) {
  const std::uint8_t operation = input.byte();
  const std::string key = input.key();
  kv::Transaction txn(part);
  if (operation % 4 != 0) {
    const std::string value(operation, 'v');
    require(kv::test::put(txn, key, value) == !model.contains(key), "put misjudges whether the key was there");
    model[key] = value;
  } else {
    require(kv::test::remove(txn, key) == (model.erase(key) == 1), "remove misjudges whether the key was there");
  }
  txn.commit();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // One arena for all inputs, emptied after each: making one takes a hundred times as long as an input.
  static const auto arena = kv::Arena::create({.max_memory = 64 * kv::test::kMiB, .parts = 1});
  kv::Part& part = arena->part(0);
  Input input(data, size);
  Model model;
  while (!input.empty()) {
    apply(part, model, input);
    if (input.byte() % 8 == 0) check_walk(part, kv::test::root_of(part), model, input);
  }
  for (const auto& [key, value] : model) {
    const kv::Ref entry = kv::find(part, kv::test::root_of(part), key);
    require(entry != kv::kNullRef, "a key that was put is not found");
    require(kv::test::value_of(part, entry) == value, "a value is not the one that was put");
  }
  for (const auto& [key, value] : model) {
    kv::Transaction txn(part);
    require(kv::test::remove(txn, key), "a key cannot be removed");
    txn.commit();
  }
  require(kv::test::root_of(part) == kv::kNullRef, "an index without keys keeps a root");
  return 0;
}
