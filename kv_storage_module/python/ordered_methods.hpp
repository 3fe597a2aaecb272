// What Map and Set have in common: rank, select, floor, ceiling, key_type (bind_ordered.cpp).
#pragma once

#include <Python.h>

#include <span>

namespace kv::py {

[[nodiscard]] std::span<const PyMethodDef> ordered_methods() noexcept;
[[nodiscard]] PyGetSetDef* ordered_properties() noexcept;

}  // namespace kv::py
