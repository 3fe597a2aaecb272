// Whether bytes are UTF-8 as others understand it: no surrogates, no overlong forms, nothing beyond U+10FFFF.
#pragma once

#include "kv_storage/bytes.hpp"

namespace kv {

[[nodiscard]] bool is_utf8(ByteView bytes) noexcept;

}  // namespace kv
