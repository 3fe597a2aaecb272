// The types of the standard library that values may have beside the built-in ones: date, datetime, time, timedelta,
// Decimal, UUID. Their modules are imported only when such a value is met.
#pragma once

#include <Python.h>

#include <cstdint>
#include <string>

#include "bind.hpp"

namespace kv::py {

// MessagePack extension types. Stored: the numbers are frozen.
enum class Extension : std::int8_t {
  kNone = 0,       // not an extension type
  kBigInt = 1,     // two's complement, little endian, as short as possible
  kTuple = 2,      // a MessagePack array
  kDate = 3,       // u16 year, u8 month, u8 day
  kTime = 4,       // u8 hour, u8 minute, u8 second, u32 microsecond, u8 fold, zone
  kDatetime = 5,   // date, then time
  kTimedelta = 6,  // i32 days, i32 seconds, i32 microseconds
  kDecimal = 7,    // its str()
  kUuid = 8,       // 16 bytes, big endian
  kArray = 9,      // elements and descriptor, as in ValueType::kArray
};

// Which extension type encodes objects of exactly this type (kDate to kUuid), or kNone.
[[nodiscard]] Extension extension_of(ModuleState& state, PyTypeObject* type);

// Appends the payload of `object`, whose type has `extension`.
void encode_extension(ModuleState& state, Extension extension, PyObject* object, std::string& out);

// The object of a payload. Throws PythonError: CorruptionError if it is not one.
[[nodiscard]] Ref decode_extension(ModuleState& state, Extension extension, ByteView payload);

// datetime.date and datetime.datetime, imported on demand; borrowed.
[[nodiscard]] PyObject* date_type(ModuleState& state);
[[nodiscard]] PyObject* datetime_type(ModuleState& state);

// datetime.date from days, datetime.datetime from microseconds, both since 1970-01-01 (for columns), and back.
[[nodiscard]] Ref date_from_days(ModuleState& state, std::int64_t days);
[[nodiscard]] Ref datetime_from_microseconds(ModuleState& state, std::int64_t microseconds);
[[nodiscard]] std::int64_t days_from_date(PyObject* date);
[[nodiscard]] std::int64_t microseconds_from_datetime(PyObject* datetime);

}  // namespace kv::py
