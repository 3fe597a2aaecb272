#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>

#include "csv/dictionary.hpp"

TEST_CASE("csv dictionary: numbers texts in the order of their first appearance, as a map would") {
  std::mt19937 random(1);
  kv::csv::Dictionary dictionary;
  std::map<std::string, std::uint32_t> model;
  std::uint64_t bytes = 0;
  for (int i = 0; i < 60'000; ++i) {
    std::string text = std::to_string(random() % 9'000);
    text.append(random() % 3 == 0 ? std::stoul(text) % 100 : 0, 'x');
    const auto [at, is_new] = model.emplace(text, static_cast<std::uint32_t>(model.size()));
    if (is_new) bytes += text.size();
    REQUIRE(dictionary.add(text) == is_new);
    REQUIRE(dictionary.find(text) == at->second);
    REQUIRE(dictionary.text(at->second) == text);
  }
  CHECK(dictionary.size() == model.size());
  CHECK(dictionary.text_bytes() == bytes);
  const auto texts = dictionary.texts();
  for (const auto& [text, code] : model) CHECK(texts[code] == text);
  CHECK_FALSE(dictionary.find("absent").has_value());
}

TEST_CASE("csv dictionary: the empty text and one that begins another are texts of their own") {
  kv::csv::Dictionary dictionary;
  CHECK_FALSE(dictionary.find("").has_value());
  CHECK(dictionary.add(""));
  CHECK(dictionary.add("a"));
  CHECK(dictionary.add("ab"));
  CHECK_FALSE(dictionary.add(""));
  CHECK(dictionary.find("") == 0U);
  CHECK(dictionary.find("ab") == 2U);
  CHECK_FALSE(dictionary.find("abc").has_value());
}
