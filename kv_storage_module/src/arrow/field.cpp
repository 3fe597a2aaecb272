#include "arrow/field.hpp"

#include <memory>
#include <string_view>

#include "kv_storage/error.hpp"

namespace kv::arrow {
namespace {

struct Spelling {
  Type type;
  const char* format;
};
// For categories, the format is that of the codes.
constexpr Spelling kSpellings[] = {
    {Type::kNull, "n"},   {Type::kBool, "b"},         {Type::kInt8, "c"},       {Type::kInt16, "s"},
    {Type::kInt32, "i"},  {Type::kInt64, "l"},        {Type::kUInt8, "C"},      {Type::kUInt16, "S"},
    {Type::kUInt32, "I"}, {Type::kUInt64, "L"},       {Type::kFloat32, "f"},    {Type::kFloat64, "g"},
    {Type::kDate, "tdD"}, {Type::kTimestamp, "tsu:"}, {Type::kText, "u"},       {Type::kLargeText, "U"},
    {Type::kBinary, "z"}, {Type::kLargeBinary, "Z"},  {Type::kCategory16, "s"}, {Type::kCategory32, "i"},
};

// What a schema handed out owns.
struct OwnedSchema {
  std::string name;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> pointers;
  ArrowSchema dictionary{};
};

void release_schema(ArrowSchema* schema) {
  for (std::int64_t i = 0; i < schema->n_children; ++i) {
    if (ArrowSchema* child = schema->children[i]; child->release != nullptr) child->release(child);
  }
  if (schema->dictionary != nullptr && schema->dictionary->release != nullptr) {
    schema->dictionary->release(schema->dictionary);
  }
  delete static_cast<OwnedSchema*>(schema->private_data);
  schema->release = nullptr;
}

void export_one(const char* format, std::string name, bool nullable, std::unique_ptr<OwnedSchema> owned,
                ArrowSchema* out) {
  owned->name = std::move(name);
  *out = {};
  out->format = format;
  out->name = owned->name.c_str();
  out->flags = nullable ? ARROW_FLAG_NULLABLE : 0;
  out->n_children = static_cast<std::int64_t>(owned->pointers.size());
  out->children = owned->pointers.data();
  if (owned->dictionary.format != nullptr) out->dictionary = &owned->dictionary;
  out->private_data = owned.release();
  out->release = &release_schema;
}

void export_field(const Field& field, ArrowSchema* out) {
  auto owned = std::make_unique<OwnedSchema>();
  if (is_category(field.type)) {
    export_one(format_of(field.values), "", false, std::make_unique<OwnedSchema>(), &owned->dictionary);
  }
  export_one(format_of(field.type), field.name, field.nullable, std::move(owned), out);
}

// The type a requested field spells; that of the field itself if it is none of ours.
[[nodiscard]] Type type_of(const ArrowSchema& schema, Type otherwise) {
  const std::string_view format = schema.format;
  if (schema.dictionary != nullptr) return otherwise;
  for (const Spelling& spelling : kSpellings) {
    if (!is_category(spelling.type) && format == spelling.format) return spelling.type;
  }
  return otherwise;
}

[[noreturn]] void refuse_columns(const std::vector<Field>& fields) {
  std::string names;
  for (const Field& field : fields) names += (names.empty() ? "'" : ", '") + field.name + "'";
  throw Error(ErrorCode::kInvalidArgument, "the requested schema has other columns; there are " + names);
}

}  // namespace

bool is_text(Type type) noexcept { return type == Type::kText || type == Type::kLargeText; }
bool is_binary(Type type) noexcept { return type == Type::kBinary || type == Type::kLargeBinary; }
bool is_large(Type type) noexcept { return type == Type::kLargeText || type == Type::kLargeBinary; }
bool is_category(Type type) noexcept { return type == Type::kCategory16 || type == Type::kCategory32; }

const char* format_of(Type type) noexcept {
  for (const Spelling& spelling : kSpellings) {
    if (spelling.type == type) return spelling.format;
  }
  return "n";
}

std::vector<Field> as_requested(std::vector<Field> fields, const ArrowSchema* requested, Convertible can_be) {
  if (requested == nullptr) return fields;
  if (requested->release == nullptr || std::string_view(requested->format) != "+s") {
    throw Error(ErrorCode::kInvalidArgument, "the requested schema is not that of a table");
  }
  if (requested->n_children != static_cast<std::int64_t>(fields.size())) refuse_columns(fields);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const ArrowSchema& wanted = *requested->children[i];
    if (wanted.name == nullptr || fields[i].name != wanted.name) refuse_columns(fields);
    const Type type = type_of(wanted, fields[i].type);
    if (can_be(fields[i], type)) fields[i].type = type;
  }
  return fields;
}

void export_fields(const std::vector<Field>& fields, ArrowSchema* out) {
  auto owned = std::make_unique<OwnedSchema>();
  owned->children.resize(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    export_field(fields[i], &owned->children[i]);
    owned->pointers.push_back(&owned->children[i]);
  }
  export_one("+s", "", false, std::move(owned), out);
}

}  // namespace kv::arrow
