#include "store/attachment.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "kv_storage/error.hpp"
#include "persist/recovery.hpp"

namespace kv {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks at a directory that another process is opening.
constexpr std::chrono::milliseconds kPause{2};
// How long a directory may look used by nobody we can reach. A process between fork and naming itself, or one being
// killed that still has descriptors open, is over long before; a member that names itself and refuses is not.
constexpr std::chrono::seconds kPatienceWithNobody{10};
constexpr std::chrono::milliseconds kPatienceWithRefusal{500};

// What one look at the directory came to.
struct Look {
  std::shared_ptr<Attachment> attachment;  // null = not yet
  bool turn_taken = false;                 // another process is opening the store
  std::optional<Member> opener;            // that process, if it is known
  std::vector<std::string> obstacles;      // members that live and cannot be reached
};

}  // namespace

// The attachments of this process. The mutex is held over fork, and whenever a lock of a directory is taken or given
// back: a forked child inherits no lock that is not an attachment's, for it would hold it as long as it lives.
class Registry {
 public:
  // Never destroyed: Python objects that hold attachments may outlive any destructor of ours.
  static Registry& instance() {
    static auto* const registry = new Registry;
    return *registry;
  }

  // Never waits for another process.
  Look look(const std::string& path, const ArenaOptions& options, const Attachment::Hooks& hooks) {
    const Part::PatientScope patient;  // whoever waits for the mutex may hold the GIL
    const std::lock_guard lock(mutex_);
    Look look;
    Directory directory(path);
    for (Attachment* attachment : attachments_) {
      if (attachment->directory().id() == directory.id()) look.attachment = attachment->weak_from_this().lock();
      if (look.attachment) return look;
    }
    LockFile file(directory);
    if (!file.try_turn()) {
      look.turn_taken = true;
      look.opener = file.turn_holder();
      return look;
    }
    file.announce_turn(Member::self(-1, 0));
    // If it does not get as far as being registered, it is destroyed before the mutex is released.
    std::shared_ptr<Attachment> made(new Attachment(std::move(directory), std::move(file)));
    if (made->lock_.try_alone()) {
      build(*made, options, hooks);
    } else if (!join(*made, look, hooks)) {
      return look;
    }
    made->lock_.write(made->arena_->slot(), Member::self(made->arena_->fd(), made->arena_->header().id));
    register_fork_handlers();  // behind the arena's, so that a child has its slot when ours runs
    attachments_.push_back(made.get());
    made->registered_ = true;
    made->lock_.end_turn();
    look.attachment = std::move(made);
    return look;
  }

  void remove(Attachment& attachment) noexcept {
    const Part::PatientScope patient;
    const std::lock_guard lock(mutex_);
    // The turn is taken before our share is given back, so that nobody opens the files while they are being finished.
    // If somebody is opening them, or goes on with them, there is nothing to finish.
    const std::unique_ptr<LockFile> last = take_turn(attachment);
    std::erase(attachments_, &attachment);
    // While the slot is still ours; and no fork comes between the two.
    attachment.lock_.clear(attachment.arena_->slot(), ::getpid());
    attachment.lock_.close();
    if (last == nullptr) return;
    finish_alone(*last, attachment);
    last->end_turn();
  }

 private:
  static void build(Attachment& made, ArenaOptions options, const Attachment::Hooks& hooks) {
    made.lock_.forget_members();
    options.device = made.directory().id().device;
    options.inode = made.directory().id().inode;
    made.arena_ = Arena::create(options);
    made.built_ = true;
    hooks.recover(made);
    (void)made.lock_.try_join();  // exclusive to shared cannot be refused
  }

  static bool join(Attachment& made, Look& look, const Attachment::Hooks& hooks) {
    if (!made.lock_.try_join()) return false;  // a program just being started has inherited an opener's lock
    for (const Member& member : made.lock_.members()) {
      Reached reached = reach(member, made.directory().id());
      if (reached.arena) {
        made.arena_ = std::move(reached.arena);
        hooks.join(made);
        return true;
      }
      if (!reached.obstacle.empty()) look.obstacles.push_back(std::move(reached.obstacle));
    }
    return false;
  }

  [[nodiscard]] static std::unique_ptr<LockFile> take_turn(const Attachment& attachment) noexcept {
    try {
      auto file = std::make_unique<LockFile>(attachment.directory());
      if (!file->try_turn()) return nullptr;
      file->announce_turn(Member::self(-1, 0));
      return file;
    } catch (const std::exception&) {  // the logs are as good as finished
      return nullptr;
    }
  }

  static void finish_alone(LockFile& last, const Attachment& attachment) noexcept {
    try {
      persist::DurableLog* const log = persist::log_of(*attachment.arena_);
      if (log != nullptr && last.try_alone()) log->finish();
    } catch (const std::exception&) {  // likewise
    }
  }

  static void register_fork_handlers() {
    static std::once_flag registered;
    std::call_once(registered, [] {
      ::pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                       [] { instance().after_fork_in_child(); });
    });
  }
  void after_fork_in_child() noexcept {
    for (const Attachment* attachment : attachments_) {
      const Arena& arena = *attachment->arena_;
      if (arena.shares_slot()) continue;  // the line is its parent's, which is the likelier to stay
      attachment->lock_.write_after_fork(arena.slot(), Member::self(arena.fd(), arena.header().id));
    }
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::vector<Attachment*> attachments_;
};

namespace {

[[noreturn]] void throw_unreachable(const std::string& path, const std::vector<std::string>& obstacles) {
  std::string text = "the store '" + path + "' is in use, and no process that has it can be reached";
  if (obstacles.empty()) text += ": its LOCK is held, but the file names nobody who lives";
  for (const std::string& obstacle : obstacles) text += (&obstacle == obstacles.data() ? ": " : "; ") + obstacle;
  throw Error(ErrorCode::kBusy, text);
}

// Looks again and again until the directory is ours, with the pauses spent in the wait hook.
class Opening {
 public:
  Opening(const std::string& path, const ArenaOptions& options, const Attachment::Hooks& hooks)
      : path_(path), options_(options), hooks_(hooks) {}

  std::shared_ptr<Attachment> run() {
    if (!step()) {
      wait_until(
          [](void* opening) {
            std::this_thread::sleep_for(kPause);
            return static_cast<Opening*>(opening)->step();
          },
          this);
    }
    if (failure_) std::rethrow_exception(failure_);
    return std::move(attachment_);
  }

 private:
  // True = over, well or badly: an exception does not cross the hook.
  bool step() noexcept {
    try {
      Look look = Registry::instance().look(path_, options_, hooks_);
      attachment_ = std::move(look.attachment);
      if (!attachment_) give_up_if_hopeless(look);
      return attachment_ != nullptr;
    } catch (...) {
      failure_ = std::current_exception();
      return true;
    }
  }

  void give_up_if_hopeless(const Look& look) {
    if (look.turn_taken) {  // however long: it may be recovering gigabytes
      unreachable_since_.reset();
      if (look.opener && look.opener->is_stopped()) {
        throw Error(ErrorCode::kBusy, "the store '" + path_ + "' is being opened by process " +
                                          std::to_string(look.opener->pid) + ", which is stopped");
      }
      return;
    }
    const Clock::time_point now = Clock::now();
    if (!unreachable_since_) unreachable_since_ = now;
    const Clock::duration patience =
        look.obstacles.empty() ? Clock::duration(kPatienceWithNobody) : Clock::duration(kPatienceWithRefusal);
    if (now - *unreachable_since_ > patience) throw_unreachable(path_, look.obstacles);
  }

  const std::string& path_;
  const ArenaOptions& options_;
  const Attachment::Hooks& hooks_;
  std::shared_ptr<Attachment> attachment_;
  std::exception_ptr failure_;
  std::optional<Clock::time_point> unreachable_since_;
};

}  // namespace

Attachment::Attachment(Directory directory, LockFile lock) noexcept
    : directory_(std::move(directory)), lock_(std::move(lock)) {}

Attachment::~Attachment() {
  if (!registered_) return;
  if (persist::DurableLog* const log = persist::log_of(*arena_)) log->close();
  Registry::instance().remove(*this);
}

std::shared_ptr<Attachment> Attachment::open(const std::string& path, const ArenaOptions& options, const Hooks& hooks) {
  return Opening(path, options, hooks).run();
}

}  // namespace kv
