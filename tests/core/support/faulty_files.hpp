// Doubles for persist::Files: a file system that fails, answers short, stops at an instant, or loses the power.
//
// Segments are written with write_at (`allocate` answers EOPNOTSUPP), so that every write is seen.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <random>
#include <string>

#include "persist/files.hpp"

namespace kv::test {

class InPlaceOfFiles {
 public:
  explicit InPlaceOfFiles(persist::Files& files) { persist::set_files(&files); }
  InPlaceOfFiles(const InPlaceOfFiles&) = delete;
  InPlaceOfFiles& operator=(const InPlaceOfFiles&) = delete;
  ~InPlaceOfFiles() { persist::set_files(nullptr); }
};

// Calls that change something are counted, and fail as a test wants.
class FaultyFiles : public persist::Files {
 public:
  static constexpr int kNever = 1 << 30;

  // All of this kind fail from now on.
  void fail(persist::FileCall call, int error) noexcept {
    failing_ = call;
    error_ = error;
  }
  void fail_nothing() noexcept { error_ = 0; }
  // The next `calls` succeed, whatever they are; all after them fail and do nothing, as if the process had been killed.
  void fail_after(int calls, int error) noexcept {
    left_ = calls;
    after_error_ = error;
  }
  [[nodiscard]] bool stopped() const noexcept { return left_ <= 0; }
  void answer_short(bool whether) noexcept { short_ = whether; }
  void refuse_to_allocate(bool whether) noexcept { refuse_ = whether; }
  [[nodiscard]] int calls() const noexcept { return calls_; }

  int open(int directory, const char* name, int flags) noexcept override {
    if ((flags & (O_CREAT | O_TRUNC)) != 0 && fails(persist::FileCall::kOpen)) return -1;
    return Files::open(directory, name, flags);
  }
  int allocate(int fd, std::uint64_t bytes) noexcept override {
    if (fails(persist::FileCall::kAllocate)) return -1;
    if (!refuse_) return Files::allocate(fd, bytes);
    errno = EOPNOTSUPP;
    return -1;
  }
  ssize_t read_at(int fd, void* to, std::size_t bytes, std::uint64_t offset) noexcept override {
    return Files::read_at(fd, to, short_ && bytes > 1 ? bytes / 2 : bytes, offset);
  }
  ssize_t write_at(int fd, const void* from, std::size_t bytes, std::uint64_t offset) noexcept override {
    if (fails(persist::FileCall::kWrite)) return -1;
    return Files::write_at(fd, from, short_ && bytes > 1 ? bytes / 2 : bytes, offset);
  }
  int sync_data(int fd) noexcept override { return fails(persist::FileCall::kSyncData) ? -1 : Files::sync_data(fd); }
  int sync(int fd) noexcept override { return fails(persist::FileCall::kSync) ? -1 : Files::sync(fd); }
  int truncate(int fd, std::uint64_t bytes) noexcept override {
    return fails(persist::FileCall::kTruncate) ? -1 : Files::truncate(fd, bytes);
  }
  int rename(int directory, const char* from, const char* to) noexcept override {
    return fails(persist::FileCall::kRename) ? -1 : Files::rename(directory, from, to);
  }
  int remove(int directory, const char* name) noexcept override {
    return fails(persist::FileCall::kRemove) ? -1 : Files::remove(directory, name);
  }

 private:
  bool fails(persist::FileCall call) noexcept {
    ++calls_;
    int error = 0;
    if (error_ != 0 && call == failing_) error = error_;
    if (left_ <= 0) error = after_error_;
    if (left_ > 0 && left_ != kNever) --left_;
    if (error == 0) return false;
    errno = error;
    return true;
  }

  // Set between calls of the store; its thread in the background may look.
  std::atomic<persist::FileCall> failing_{persist::FileCall::kOpen};
  std::atomic<int> error_{0};
  std::atomic<int> left_{kNever};
  std::atomic<int> after_error_{0};
  std::atomic<int> calls_{0};
  std::atomic<bool> short_{false};
  std::atomic<bool> refuse_{true};
};

// Remembers what was synced, and takes everything else away when the power goes.
class ForgetfulFiles : public persist::Files {
 public:
  // Watches one directory, which is as it is on disk.
  explicit ForgetfulFiles(std::string path) : path_(std::move(path)) {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, inode] : list()) durable_[identity(inode)] = read(name);
    sync_names();
  }

  int open(int directory, const char* name, int flags) noexcept override {
    const std::lock_guard lock(mutex_);
    struct stat status {};
    const bool is_new = ::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0;
    const int fd = Files::open(directory, name, flags);
    if (fd >= 0 && is_new && ::fstat(fd, &status) == 0) identities_[status.st_ino] = ++last_identity_;
    return fd;
  }
  int allocate(int, std::uint64_t) noexcept override {
    errno = EOPNOTSUPP;
    return -1;
  }
  int sync_data(int fd) noexcept override { return sync(fd); }
  int sync(int fd) noexcept override {
    const std::lock_guard lock(mutex_);
    if (stopped_) return 0;
    struct stat status {};
    if (::fstat(fd, &status) != 0) return -1;
    if (S_ISDIR(status.st_mode)) {
      sync_names();
    } else {
      std::ifstream in("/proc/self/fd/" + std::to_string(fd), std::ios::binary);  // it may be open for writing alone
      durable_[identity(status.st_ino)] = {std::istreambuf_iterator<char>(in), {}};
    }
    return 0;
  }
  // At once on disk, whatever other names are: a file that is still needed must not be removed.
  int remove(int directory, const char* name) noexcept override {
    const std::lock_guard lock(mutex_);
    if (!stopped_) durable_names_.erase(name);
    return Files::remove(directory, name);
  }
  // A start of the machine of its own, so that lost pages are believed.
  std::uint64_t boot() noexcept override { return boot_; }

  // From now on until the power is lost, nothing is synced.
  void stop() noexcept { stopped_ = true; }

  // While nobody uses the directory. Of what was not synced, each page and each name is lost or not.
  void lose_power(std::mt19937& random, bool everything) {
    const std::lock_guard lock(mutex_);
    const auto keep = [&] { return !everything && random() % 2 == 0; };
    Names names = durable_names_;
    std::map<std::uint64_t, std::string> now;  // by identity
    Names names_now;
    for (const auto& [name, inode] : list()) {
      names_now[name] = identity(inode);
      now[identity(inode)] = read(name);
    }
    if (keep()) names = names_now;  // the directory itself reached the disk
    std::map<std::string, std::string> files;
    for (const auto& [name, id] : names) {
      const std::string& synced = durable_[id];
      files[name] = now.contains(id) ? mixed(synced, now.at(id), keep) : synced;
    }
    for (const auto& [name, inode] : list()) std::filesystem::remove(path_ + "/" + name);
    identities_.clear();
    durable_.clear();
    for (const auto& [name, bytes] : files) {
      std::ofstream(path_ + "/" + name, std::ios::binary)
          .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    for (const auto& [name, inode] : list()) durable_[identity(inode)] = files[name];
    sync_names();
    ++boot_;
    stopped_ = false;
  }

 private:
  using Names = std::map<std::string, std::uint64_t>;

  [[nodiscard]] Names list() const {
    Names names;
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
      const std::string name = file.path().filename().string();
      struct stat status {};
      if (name != "LOCK" && ::stat(file.path().c_str(), &status) == 0) names[name] = status.st_ino;
    }
    return names;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(path_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Inodes are used again; these are not.
  std::uint64_t identity(std::uint64_t inode) {
    std::uint64_t& id = identities_[inode];
    if (id == 0) id = ++last_identity_;
    return id;
  }
  void sync_names() {
    durable_names_.clear();
    for (const auto& [name, inode] : list()) durable_names_[name] = identity(inode);
  }
  template <class Keep>
  [[nodiscard]] static std::string mixed(const std::string& synced, const std::string& now, Keep&& keep) {
    constexpr std::size_t kPage = 4096;
    std::string bytes = keep() ? now : synced;  // one size or the other
    for (std::size_t at = 0; at < bytes.size(); at += kPage) {
      const std::string& from = keep() ? now : synced;
      std::string page = at < from.size() ? from.substr(at, kPage) : std::string();
      page.resize(std::min(kPage, bytes.size() - at), '\0');
      bytes.replace(at, page.size(), page);
    }
    return bytes;
  }

  std::string path_;
  std::mutex mutex_;
  std::atomic<bool> stopped_{false};
  std::uint64_t boot_ = 1;
  std::uint64_t last_identity_ = 0;
  std::map<std::uint64_t, std::uint64_t> identities_;  // by inode
  std::map<std::uint64_t, std::string> durable_;       // by identity
  Names durable_names_;
};

}  // namespace kv::test
