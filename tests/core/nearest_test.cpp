#include "kv_storage/nearest.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using kv::nearest;

TEST_CASE("nearest: the fewest edits win, the first of equals") {
  const std::vector<std::string_view> names = {"month", "carrier", "dep_delay", "arr_delay", "Day"};
  CHECK(nearest("mnth", names) == "month");
  CHECK(nearest("mnoth", names) == "month");
  CHECK(nearest("dep_dely", names) == "dep_delay");
  CHECK(nearest("arp_delay", names) == "arr_delay");
  CHECK(nearest("DAY", names) == "Day");
  CHECK(nearest("month", names) == "month");
}

TEST_CASE("nearest: nothing is near when nearly all would change") {
  const std::vector<std::string_view> names = {"i8", "month"};
  CHECK(nearest("x", names).empty());
  CHECK(nearest("zzzzzz", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest(std::string(1000, 'm'), names).empty());
  CHECK(nearest("month", {}).empty());
}

TEST_CASE("nearest: a suggestion names it, or lists what there is") {
  const std::vector<std::string_view> names = {"month", "day"};
  CHECK(kv::suggestion("mont", names, "columns") == "; did you mean 'month'?");
  CHECK(kv::suggestion("zzzzzz", names, "columns") == "; columns are month, day");
  const std::vector<std::string_view> many(30, "c");
  CHECK(kv::suggestion("zzzzzz", many, "columns").ends_with("c, c, ..."));
}
