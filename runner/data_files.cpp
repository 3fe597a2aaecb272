#include "data_files.hpp"

#include <charconv>
#include <cstdio>
#include <string>
#include <vector>

#include "concat.hpp"
#include "config.hpp"
#include "failure.hpp"
#include "kv_storage/data_directory.hpp"
#include "kv_storage/error.hpp"

namespace runner {
namespace {

using std::to_string;

[[nodiscard]] std::string hex(std::uint64_t value) {
  char text[16];
  return {text, std::to_chars(text, text + sizeof text, value, 16).ptr};
}

[[noreturn]] void throw_failure(const kv::Error& error) {
  ExitCode code = kSystem;
  if (error.code() == kv::ErrorCode::kNotFound) code = kNoInput;
  if (error.code() == kv::ErrorCode::kInvalidArgument) code = kUsage;
  throw Failure(code, concat("runner: ", error.what()));
}

void print(const std::string& line) { std::printf("%s\n", line.c_str()); }

void print_manifest(const kv::InspectedManifest& manifest) {
  print(concat("MANIFEST: ", to_string(manifest.bytes), " bytes, seed ", hex(manifest.seed), ", next ",
               to_string(manifest.next), ", serial ", to_string(manifest.serial)));
  if (manifest.checkpoint == 0) {
    print("  no checkpoint");
  } else {
    print(concat("  checkpoint ", to_string(manifest.checkpoint), " of ", to_string(manifest.checkpoint_parts),
                 manifest.checkpoint_parts == 1 ? " part" : " parts"));
  }
  for (const auto& log : manifest.logs) {
    print(concat("  epoch ", to_string(log.epoch), ", part ", to_string(log.part), ": the log from segment ",
                 to_string(log.segment), ", position ", to_string(log.position)));
  }
}

[[nodiscard]] std::string records_of(const kv::InspectedFile& file) {
  std::string text;
  for (const auto& [kind, count] : file.records) text += concat(text.empty() ? "" : ", ", to_string(count), " ", kind);
  if (text.empty()) return "no records";
  if (file.entries != 0) text += concat(" (", to_string(file.entries), " entries)");
  return text;
}

void print_file(const kv::InspectedFile& file) {
  using Kind = kv::InspectedFile::Kind;
  if (file.kind == Kind::kOther) return print(concat(file.name, ": not of the store, or never complete"));
  std::string line = concat(file.name, ": ", to_string(file.bytes), " bytes");
  if (!file.in_force) line += ", left over";
  if (file.blank) return print(line + ", blank");
  line += concat(", format ", to_string(file.format), ", epoch ", to_string(file.epoch), ", part ",
                 to_string(file.part), ", number ", to_string(file.number));
  if (file.kind == Kind::kLog) line += concat(", first position ", to_string(file.first));
  print(line + (file.sound_header ? ", header checksum good" : ", header checksum BAD"));
  line = concat("  ", records_of(file), ", up to offset ", to_string(file.end));
  if (file.kind == Kind::kLog) line += concat(", position ", to_string(file.end_position));
  if (file.gaps == 0) {
    line += ", record checksums good";
  } else {
    line += concat(", record checksums BAD in ", to_string(file.gaps), file.gaps == 1 ? " place" : " places");
  }
  if (file.torn) line += ", torn behind that";
  print(line);
}

[[nodiscard]] std::string text_of(const kv::FileDamage& damage) {
  std::string text = concat(damage.file, " at offset ", to_string(damage.offset), ": ");
  if (damage.bytes != 0) text += concat(to_string(damage.bytes), " bytes, ");
  if (damage.records) text += concat(to_string(*damage.records), *damage.records == 1 ? " record, " : " records, ");
  text += damage.what;
  if (damage.entries) text += concat("; the file lacks ", to_string(*damage.entries), " entries");
  return text;
}

}  // namespace

int inspect_files(const std::string& path) {
  try {
    const kv::Inspection found = kv::inspect_directory(path);
    print(concat(found.path, ": ", found.in_use ? "in use, so this is what it was at some time; " : "not in use; ",
                 "this version reads formats up to ", to_string(found.format)));
    if (found.manifest) print_manifest(*found.manifest);
    for (const kv::InspectedFile& file : found.files) print_file(file);
    if (found.torn_logs != 0) {
      print(concat(to_string(found.torn_logs), found.torn_logs == 1 ? " log ends" : " logs end",
                   " in something unreadable, as a log may"));
    }
    if (found.damage.empty()) {
      print("no damage");
      return kSuccess;
    }
    for (const kv::FileDamage& damage : found.damage) print("DAMAGED: " + text_of(damage));
    return kDamaged;
  } catch (const kv::Error& error) {
    throw_failure(error);
  }
}

int repair(const CommandLine& line) {
  try {
    kv::StoreOptions options;
    if (!line.configuration.empty()) options = load_config(line.configuration).store;
    const kv::RepairReport report = kv::repair_directory(line.directory, line.into, options);
    for (const kv::FileDamage& damage : report.lost) print("lost: " + text_of(damage));
    for (const std::string& note : report.notes) print("note: " + note);
    print(concat("saved: ", to_string(report.entries), " entries in ", to_string(report.collections),
                 report.collections == 1 ? " collection" : " collections", ", in ", line.into));
    return report.lost.empty() && report.notes.empty() ? kSuccess : kDamaged;
  } catch (const kv::Error& error) {
    throw_failure(error);
  }
}

}  // namespace runner
