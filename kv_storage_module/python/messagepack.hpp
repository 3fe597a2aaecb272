// The nested encoding of values (ValueType::kPacked): MessagePack, with the extension types of extension_types.hpp.
//
// The encoding of an object is unique (the shortest form of each number and header), so that compare_and_set may
// compare bytes. A dict keeps its order; a tuple and a list differ; big integers, dates and arrays nest like everything
// else.
#pragma once

#include <Python.h>

#include <string>

#include "bind.hpp"

namespace kv::py {

// How deep lists, tuples and dicts may be nested in each other.
inline constexpr int kMaxDepth = 200;

// True for objects that pack() takes at the top level and that have no value type of their own.
[[nodiscard]] bool is_packable(ModuleState& state, PyObject* object);

void pack(ModuleState& state, PyObject* object, std::string& out);  // throws PythonError
[[nodiscard]] Ref unpack(ModuleState& state, ByteView bytes);       // throws PythonError: CorruptionError
// Objects end to end, as a list. Throws likewise.
[[nodiscard]] Ref unpack_sequence(ModuleState& state, ByteView bytes);

}  // namespace kv::py
