#include "arena_image.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace kv::crash {

ArenaImage::ArenaImage(const std::string& address) {
  const std::string fd = address.substr(address.find(':') + 1);
  fd_ = ::open(("/proc/self/fd/" + fd.substr(0, fd.find(':'))).c_str(), O_RDWR | O_CLOEXEC);
  struct stat status {};
  if (fd_ < 0 || ::fstat(fd_, &status) != 0) throw std::runtime_error("cannot open the memory of " + address);
  bytes_ = static_cast<std::size_t>(status.st_size);
  void* const base = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_, 0);
  if (base == MAP_FAILED) throw std::runtime_error("cannot map the memory of " + address);
  base_ = static_cast<std::byte*>(base);
  update();
}

ArenaImage::~ArenaImage() {
  ::munmap(base_, bytes_);
  ::close(fd_);
}

std::vector<std::uint64_t> ArenaImage::pages_in_use() const {
  std::vector<std::uint64_t> pages;
  for (off_t from = 0; (from = ::lseek(fd_, from, SEEK_DATA)) >= 0;) {
    const off_t hole = ::lseek(fd_, from, SEEK_HOLE);
    for (; from < hole; from += static_cast<off_t>(kPage)) pages.push_back(static_cast<std::uint64_t>(from));
  }
  return pages;
}

bool ArenaImage::update() {
  bool changed = false;
  for (const std::uint64_t offset : pages_in_use()) {
    Page& page = copy_.try_emplace(offset, kPage).first->second;
    if (std::memcmp(page.data(), base_ + offset, kPage) == 0) continue;
    std::memcpy(page.data(), base_ + offset, kPage);
    changed = true;
  }
  return changed;
}

void ArenaImage::restore() {
  for (const std::uint64_t offset : pages_in_use()) {
    const auto page = copy_.find(offset);
    if (page == copy_.end()) {
      std::memset(base_ + offset, 0, kPage);
    } else if (std::memcmp(base_ + offset, page->second.data(), kPage) != 0) {
      std::memcpy(base_ + offset, page->second.data(), kPage);
    }
  }
}

}  // namespace kv::crash
