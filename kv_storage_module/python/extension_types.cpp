#include "extension_types.hpp"

#include <cstring>

#include "text.hpp"

namespace kv::py {
namespace {

struct KnownType {
  Extension extension;
  const char* module;
  const char* name;
  Ref ModuleState::*slot;
};

constexpr KnownType kKnown[] = {
    {Extension::kDatetime, "datetime", "datetime", &ModuleState::datetime_type},
    {Extension::kDate, "datetime", "date", &ModuleState::date_type},
    {Extension::kTime, "datetime", "time", &ModuleState::time_type},
    {Extension::kTimedelta, "datetime", "timedelta", &ModuleState::timedelta_type},
    {Extension::kDecimal, "decimal", "Decimal", &ModuleState::decimal_type},
    {Extension::kUuid, "uuid", "UUID", &ModuleState::uuid_type},
    {Extension::kNone, "datetime", "timezone", &ModuleState::timezone_type},
    {Extension::kNone, "zoneinfo", "ZoneInfo", &ModuleState::zoneinfo_type},
};

PyObject* load(ModuleState& state, const KnownType& known) {
  return filled(state.*known.slot,
                [&] { return attribute(checked(PyImport_ImportModule(known.module)).get(), known.name); });
}

PyObject* load(ModuleState& state, Ref ModuleState::*slot) {
  for (const KnownType& known : kKnown) {
    if (known.slot == slot) return load(state, known);
  }
  return nullptr;
}

const char* last_component(const char* name) noexcept {
  const char* dot = std::strrchr(name, '.');
  return dot == nullptr ? name : dot + 1;
}

int int_attribute(PyObject* object, const char* name) {
  Ref value = attribute(object, name);
  const long number = PyLong_AsLong(value.get());
  if (number == -1 && PyErr_Occurred() != nullptr) throw PythonError{};
  return static_cast<int>(number);
}

template <class Number>
void append(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// Reads fixed-size numbers from the front of a payload.
class Reader {
 public:
  Reader(ModuleState& state, ByteView bytes) noexcept : state_(state), bytes_(bytes) {}
  template <class Number>
  int next() {
    if (bytes_.size() < sizeof(Number)) fail(state_, ErrorClass::kCorruption, "a stored date or time is cut short");
    Number number;
    std::memcpy(&number, bytes_.data(), sizeof number);
    bytes_.remove_prefix(sizeof number);
    return static_cast<int>(number);
  }
  [[nodiscard]] ByteView rest() const noexcept { return bytes_; }

 private:
  ModuleState& state_;
  ByteView bytes_;
};

// Stored: the numbers are frozen.
enum class Zone : std::uint8_t {
  kNaive = 0,
  kOffset = 1,       // i32 days, i32 seconds, i32 microseconds
  kNamedOffset = 2,  // the same, then the name given to timezone()
  kZoneInfo = 3,     // the key: "Europe/Berlin"
};

void encode_text_into(PyObject* str, std::string& out) {
  Ref bytes = checked(PyUnicode_AsEncodedString(str, "utf-8", "surrogatepass"));
  out.append(bytes_of(bytes.get()));
}

void encode_delta(PyObject* delta, std::string& out) {
  for (const char* name : {"days", "seconds", "microseconds"}) append(out, std::int32_t{int_attribute(delta, name)});
}

void encode_zone(ModuleState& state, PyObject* owner, std::string& out) {
  Ref zone = attribute(owner, "tzinfo");
  auto* type = reinterpret_cast<PyObject*>(Py_TYPE(zone.get()));
  if (zone.get() == Py_None) {
    append(out, Zone::kNaive);
  } else if (type == load(state, &ModuleState::timezone_type)) {
    Ref arguments = checked(PyObject_CallMethod(zone.get(), "__getinitargs__", nullptr));
    const bool named = PyTuple_GET_SIZE(arguments.get()) == 2;
    append(out, named ? Zone::kNamedOffset : Zone::kOffset);
    encode_delta(PyTuple_GET_ITEM(arguments.get(), 0), out);
    if (named) encode_text_into(PyTuple_GET_ITEM(arguments.get(), 1), out);
  } else if (std::strcmp(last_component(Py_TYPE(zone.get())->tp_name), "ZoneInfo") == 0 &&
             type == load(state, &ModuleState::zoneinfo_type) && attribute(zone.get(), "key").get() != Py_None) {
    append(out, Zone::kZoneInfo);
    encode_text_into(attribute(zone.get(), "key").get(), out);
  } else {
    fail(state, ErrorClass::kKind, "the time zone %R is not stored: use datetime.timezone, zoneinfo.ZoneInfo or UTC",
         zone.get());
  }
}

void encode_date(PyObject* object, std::string& out) {
  append(out, static_cast<std::uint16_t>(int_attribute(object, "year")));
  append(out, static_cast<std::uint8_t>(int_attribute(object, "month")));
  append(out, static_cast<std::uint8_t>(int_attribute(object, "day")));
}

void encode_time(ModuleState& state, PyObject* object, std::string& out) {
  for (const char* name : {"hour", "minute", "second"})
    append(out, static_cast<std::uint8_t>(int_attribute(object, name)));
  append(out, static_cast<std::uint32_t>(int_attribute(object, "microsecond")));
  append(out, static_cast<std::uint8_t>(int_attribute(object, "fold")));
  encode_zone(state, object, out);
}

Ref decode_delta(ModuleState& state, Reader& reader) {
  const int days = reader.next<std::int32_t>();
  const int seconds = reader.next<std::int32_t>();
  const int microseconds = reader.next<std::int32_t>();
  return checked(PyObject_CallFunction(load(state, &ModuleState::timedelta_type), "iii", days, seconds, microseconds));
}

Ref decode_zone(ModuleState& state, Reader& reader) {
  switch (static_cast<Zone>(reader.next<std::uint8_t>())) {
    case Zone::kNaive:
      return new_reference(Py_None);
    case Zone::kOffset: {
      Ref offset = decode_delta(state, reader);
      return checked(PyObject_CallOneArg(load(state, &ModuleState::timezone_type), offset.get()));
    }
    case Zone::kNamedOffset: {
      Ref offset = decode_delta(state, reader);
      Ref name = text_object(reader.rest());
      return checked(
          PyObject_CallFunctionObjArgs(load(state, &ModuleState::timezone_type), offset.get(), name.get(), nullptr));
    }
    case Zone::kZoneInfo:
      return checked(PyObject_CallOneArg(load(state, &ModuleState::zoneinfo_type), text_object(reader.rest()).get()));
  }
  fail(state, ErrorClass::kCorruption, "a stored time has an unknown kind of time zone");
}

Ref with_fold(Ref object, int fold) {
  if (fold == 0) return object;
  Ref keywords = checked(Py_BuildValue("{s:i}", "fold", fold));
  Ref nothing = checked(PyTuple_New(0));
  return checked(PyObject_Call(attribute(object.get(), "replace").get(), nothing.get(), keywords.get()));
}

struct Clock {
  int hour, minute, second, microsecond, fold;
  explicit Clock(Reader& reader)
      : hour(reader.next<std::uint8_t>()),
        minute(reader.next<std::uint8_t>()),
        second(reader.next<std::uint8_t>()),
        microsecond(reader.next<std::uint32_t>()),
        fold(reader.next<std::uint8_t>()) {}
};

Ref decode_time(ModuleState& state, Reader& reader) {
  const Clock clock(reader);
  Ref zone = decode_zone(state, reader);
  return with_fold(checked(PyObject_CallFunction(load(state, &ModuleState::time_type), "iiiiO", clock.hour,
                                                 clock.minute, clock.second, clock.microsecond, zone.get())),
                   clock.fold);
}

Ref decode_datetime(ModuleState& state, Reader& reader) {
  const int year = reader.next<std::uint16_t>();
  const int month = reader.next<std::uint8_t>();
  const int day = reader.next<std::uint8_t>();
  const Clock clock(reader);
  Ref zone = decode_zone(state, reader);
  return with_fold(checked(PyObject_CallFunction(datetime_type(state), "iiiiiiiO", year, month, day, clock.hour,
                                                 clock.minute, clock.second, clock.microsecond, zone.get())),
                   clock.fold);
}

Ref decode_date(ModuleState& state, Reader& reader) {
  const int year = reader.next<std::uint16_t>();
  const int month = reader.next<std::uint8_t>();
  const int day = reader.next<std::uint8_t>();
  return checked(PyObject_CallFunction(date_type(state), "iii", year, month, day));
}

Ref decode_uuid(ModuleState& state, ByteView payload) {
  Ref bytes = checked(PyBytes_FromStringAndSize(payload.data(), static_cast<Py_ssize_t>(payload.size())));
  return checked(PyObject_CallFunction(load(state, &ModuleState::uuid_type), "OO", Py_None, bytes.get()));
}

constexpr int kEpochOrdinal = 719163;  // date(1970, 1, 1).toordinal()
constexpr std::int64_t kMicrosecondsPerDay = 86'400'000'000;

std::int64_t floor_divide(std::int64_t dividend, std::int64_t divisor) noexcept {
  return dividend / divisor - (dividend % divisor < 0 ? 1 : 0);
}

}  // namespace

Extension extension_of(ModuleState& state, PyTypeObject* type) {
  const char* name = last_component(type->tp_name);
  for (const KnownType& known : kKnown) {
    if (known.extension == Extension::kNone) continue;
    const PyObject* const there = (state.*known.slot).load();
    if (there != nullptr
            ? there == reinterpret_cast<PyObject*>(type)
            : std::strcmp(name, known.name) == 0 && load(state, known) == reinterpret_cast<PyObject*>(type)) {
      return known.extension;
    }
  }
  return Extension::kNone;
}

void encode_extension(ModuleState& state, Extension extension, PyObject* object, std::string& out) {
  switch (extension) {
    case Extension::kDate:
      return encode_date(object, out);
    case Extension::kTime:
      return encode_time(state, object, out);
    case Extension::kDatetime:
      encode_date(object, out);
      return encode_time(state, object, out);
    case Extension::kTimedelta:
      return encode_delta(object, out);
    case Extension::kDecimal:
      return encode_text_into(checked(PyObject_Str(object)).get(), out);
    case Extension::kUuid:
      out.append(bytes_of(attribute(object, "bytes").get()));
      return;
    default:
      return;
  }
}

Ref decode_extension(ModuleState& state, Extension extension, ByteView payload) {
  Reader reader(state, payload);
  switch (extension) {
    case Extension::kDate:
      return decode_date(state, reader);
    case Extension::kTime:
      return decode_time(state, reader);
    case Extension::kDatetime:
      return decode_datetime(state, reader);
    case Extension::kTimedelta:
      return decode_delta(state, reader);
    case Extension::kDecimal:
      return checked(PyObject_CallOneArg(load(state, &ModuleState::decimal_type), text_object(payload).get()));
    case Extension::kUuid:
      return decode_uuid(state, payload);
    default:
      fail(state, ErrorClass::kCorruption, "a stored value has the unknown extension type %d",
           static_cast<int>(extension));
  }
}

PyObject* date_type(ModuleState& state) { return load(state, &ModuleState::date_type); }
PyObject* datetime_type(ModuleState& state) { return load(state, &ModuleState::datetime_type); }

Ref date_from_days(ModuleState& state, std::int64_t days) {
  return checked(
      PyObject_CallMethod(date_type(state), "fromordinal", "L", static_cast<long long>(days + kEpochOrdinal)));
}

Ref datetime_from_microseconds(ModuleState& state, std::int64_t microseconds) {
  const std::int64_t days = floor_divide(microseconds, kMicrosecondsPerDay);
  std::int64_t left = microseconds - days * kMicrosecondsPerDay;
  Ref date = date_from_days(state, days);
  const int microsecond = static_cast<int>(left % 1'000'000);
  left /= 1'000'000;
  return checked(PyObject_CallFunction(datetime_type(state), "iiiiiii", int_attribute(date.get(), "year"),
                                       int_attribute(date.get(), "month"), int_attribute(date.get(), "day"),
                                       static_cast<int>(left / 3600), static_cast<int>(left / 60 % 60),
                                       static_cast<int>(left % 60), microsecond));
}

std::int64_t days_from_date(PyObject* date) {
  Ref ordinal = checked(PyObject_CallMethod(date, "toordinal", nullptr));
  return PyLong_AsLongLong(ordinal.get()) - kEpochOrdinal;
}

std::int64_t microseconds_from_datetime(PyObject* datetime) {
  const std::int64_t seconds = (int_attribute(datetime, "hour") * 60 + int_attribute(datetime, "minute")) * 60 +
                               int_attribute(datetime, "second");
  return days_from_date(datetime) * kMicrosecondsPerDay + seconds * 1'000'000 + int_attribute(datetime, "microsecond");
}

}  // namespace kv::py
