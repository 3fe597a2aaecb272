// Verification of one List: its directory, its chunks, and the dictionary that counts what they hold.
#pragma once

#include <functional>
#include <string>

#include "collections/roots.hpp"
#include "memory/part.hpp"

namespace kv {

// Under the lock. Calls `claim` for every block, and `complain` for everything that does not agree.
void verify_list(const Part& part, Ref block, const CollectionRoot& root, std::uint64_t hash_seed,
                 const std::function<void(Ref, const char*)>& claim,
                 const std::function<void(const std::string&, Ref)>& complain);

}  // namespace kv
