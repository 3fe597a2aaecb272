#include "persist/manifest.hpp"

#include <fcntl.h>
#include <xxhash.h>

#include <cerrno>
#include <charconv>
#include <string_view>

#include "kv_storage/error.hpp"
#include "kv_storage/owned_fd.hpp"
#include "persist/files.hpp"
#include "persist/format.hpp"

namespace kv::persist {
namespace {

constexpr std::string_view kTitle = "kv_storage manifest ";
constexpr std::uint64_t kMaxBytes = 1 << 20;
constexpr std::uint32_t kMaxLogs = 1 << 16;

[[nodiscard]] std::string hex(std::uint64_t value) {
  char text[16];
  return {text, std::to_chars(text, text + sizeof text, value, 16).ptr};
}

// Reads words and numbers; everything unexpected is an error at its offset.
class Parser {
 public:
  Parser(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kCorrupt, "'" + path_ + "' is damaged at offset " + std::to_string(at_) + ": " + what);
  }
  [[nodiscard]] bool next_is(std::string_view word) const noexcept { return text_.substr(at_).starts_with(word); }
  void expect(std::string_view word) {
    if (!next_is(word)) fail("'" + std::string(word.substr(0, word.find_last_not_of(" \n") + 1)) + "' is missing");
    at_ += word.size();
  }
  template <class T>
  [[nodiscard]] T number(std::string_view before, int base = 10) {
    expect(before);
    T value{};
    const auto [next, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value, base);
    if (error != std::errc()) fail("this is no number");
    at_ = static_cast<std::size_t>(next - text_.data());
    return value;
  }

 private:
  std::string_view text_;
  const std::string& path_;
  std::size_t at_ = 0;
};

[[nodiscard]] Epoch parse_epoch(Parser& parser) {
  Epoch epoch;
  epoch.number = parser.number<std::uint64_t>("epoch ");
  const auto parts = parser.number<std::uint32_t>(" parts ");
  parser.expect("\n");
  if (parts == 0 || parts > kMaxLogs) parser.fail("an impossible number of parts");
  for (std::uint32_t part = 0; part < parts; ++part) {
    if (parser.number<std::uint32_t>("log ") != part) parser.fail("the log of another part was expected");
    LogStart start;
    start.segment = parser.number<std::uint64_t>(" segment ");
    start.position = parser.number<std::uint64_t>(" position ");
    parser.expect("\n");
    epoch.logs.push_back(start);
  }
  return epoch;
}

}  // namespace

std::string end_of(std::string_view before) { return "end " + hex(XXH3_64bits(before.data(), before.size())) + "\n"; }

std::string Manifest::encode() const {
  std::string text(kTitle);
  text += std::to_string(kFormatVersion) + "\nseed " + hex(seed) + "\nnext " + std::to_string(next) + "\nserial " +
          std::to_string(serial) + "\n";
  if (checkpoint != 0) {
    text += "checkpoint " + std::to_string(checkpoint) + " parts " + std::to_string(checkpoint_parts) + "\n";
  }
  for (const Epoch& epoch : epochs) {
    text += "epoch " + std::to_string(epoch.number) + " parts " + std::to_string(epoch.logs.size()) + "\n";
    for (std::size_t part = 0; part < epoch.logs.size(); ++part) {
      text += "log " + std::to_string(part) + " segment " + std::to_string(epoch.logs[part].segment) + " position " +
              std::to_string(epoch.logs[part].position) + "\n";
    }
  }
  return text + end_of(text);
}

// Every version ends its manifest in this line.
void Manifest::check_end(const std::string& text, const std::string& path) {
  const std::size_t line = text.rfind("\nend ");
  if (line == std::string::npos || !text.starts_with(kTitle)) {
    throw Error(ErrorCode::kCorrupt, "'" + path + "' is damaged: it does not begin and end as a manifest does");
  }
  const std::string_view before(text.data(), line + 1);
  if (text.substr(line + 1) != end_of(before)) {
    throw Error(ErrorCode::kCorrupt, "'" + path + "' is damaged: the checksum in its last line does not fit");
  }
}

Manifest Manifest::decode(const std::string& text, const std::string& path) {
  check_end(text, path);
  Parser parser(text, path);
  const auto version = parser.number<std::uint32_t>(kTitle);
  if (version > kFormatVersion) {
    throw_newer(version, path);
  }
  if (version != kFormatVersion) parser.fail("there is no such format");
  parser.expect("\n");
  Manifest manifest;
  manifest.seed = parser.number<std::uint64_t>("seed ", 16);
  manifest.next = parser.number<std::uint64_t>("\nnext ");
  manifest.serial = parser.number<std::uint32_t>("\nserial ");
  parser.expect("\n");
  if (parser.next_is("checkpoint ")) {
    manifest.checkpoint = parser.number<std::uint64_t>("checkpoint ");
    manifest.checkpoint_parts = parser.number<std::uint32_t>(" parts ");
    parser.expect("\n");
    if (manifest.checkpoint == 0 || manifest.checkpoint_parts == 0 || manifest.checkpoint_parts > kMaxLogs)
      parser.fail("an impossible checkpoint");
  }
  while (parser.next_is("epoch ")) manifest.epochs.push_back(parse_epoch(parser));
  (void)parser.number<std::uint64_t>("end ", 16);
  return manifest;
}

std::optional<Manifest> Manifest::read(int directory, const std::string& path) {
  const std::string file = path + "/" + kManifestName;
  const OwnedFd fd(files().open(directory, kManifestName, O_RDONLY));
  if (fd.get() < 0) {
    if (errno == ENOENT) return std::nullopt;
    throw Error::from_errno(errno, "cannot open", file);
  }
  const std::uint64_t bytes = files().size(fd.get());
  if (bytes > kMaxBytes) throw Error(ErrorCode::kCorrupt, "'" + file + "' is too long for a manifest");
  std::string text(bytes, '\0');
  read_whole(fd.get(), file, text.data(), text.size(), 0);
  return decode(text, file);
}

void Manifest::write(int directory, const std::string& path) const {
  const std::string temporary = std::string(kManifestName) + kTemporarySuffix;
  const std::string file = path + "/" + temporary;
  const std::string text = encode();
  const OwnedFd fd(files().open(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC));
  if (fd.get() < 0) throw Error::from_errno(errno, "cannot make", file);
  write_whole(fd.get(), file, text.data(), text.size(), 0);
  if (files().sync(fd.get()) != 0) throw Error::from_errno(errno, "cannot sync", file);
  if (files().rename(directory, temporary.c_str(), kManifestName) != 0) {
    throw Error::from_errno(errno, "cannot rename", file);
  }
  if (files().sync(directory) != 0) throw Error::from_errno(errno, "cannot sync", path);
}

}  // namespace kv::persist
