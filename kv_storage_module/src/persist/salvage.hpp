// Repair: everything intact in a damaged data directory, put into an arena from which a new directory is written.
//
// What is intact is applied in the order of recovery. A log that can be opened ends where recovery ends it; one that is
// damaged is read on behind the damage. Where a lost record would make others mean something else, they are held to
// their meaning: categories whose text is lost get one that says so, and collections whose name is lost one by number.
// Positions of a list whose values are lost hold None. If the manifest is lost, the newest whole checkpoint counts and
// the logs from its epoch on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "persist/inspect.hpp"
#include "persist/restore.hpp"
#include "persist/survey.hpp"

namespace kv::persist {

class Salvage {
 public:
  // Reads all files once. Throws Error{kIo} (also for a newer format), kNotFound if there is nothing to repair.
  Salvage(int directory, std::string path);

  // How many parts the arena to restore into needs, so that nothing has to be divided anew.
  [[nodiscard]] std::uint32_t parts() const noexcept { return parts_; }
  // Into a new arena, with an empty root Hash, that nobody else knows. Once. Throws Error{kOverCapacity, kIo}.
  void restore(Arena& arena);
  // All but the entries, which only the arena can tell.
  [[nodiscard]] RepairReport& report() noexcept { return report_; }

 private:
  struct EpochPlan {
    std::uint64_t number = 0;
    std::vector<std::optional<LogStart>> starts;  // by part
    std::vector<std::vector<std::uint64_t>> segments;
    std::vector<LoadRecord> loads;
  };
  struct SeenSerial {
    std::uint64_t records = 0;
    bool ordered = false;   // it is a Map or Set
    bool list = false;      // it is a List
    bool no_plain = false;  // its values mean nothing without what is lost
  };
  using Texts = std::vector<std::optional<std::string>>;  // by code

  void plan();
  void plan_without_manifest();
  void read_checkpoint(const VisitRecord& visit, bool tell);
  void read_epoch(const EpochPlan& epoch, std::uint32_t part, const VisitRecord& visit, bool tell);
  void read_load(const LoadRecord& load, const VisitRecord& visit, std::vector<FileDamage>& damage);
  void note(const Record& record, const std::string& name, std::uint64_t offset);
  void note_serial(const Record& record);
  void name_the_nameless();
  void make_names_unique();

  void apply(Restorer& restorer, const Record& record, const std::string& name, std::uint64_t offset,
             std::uint32_t parts);
  void restore_texts(Restorer& restorer);
  void fill_up_categories(std::uint32_t serial);

  int directory_;
  std::string path_;
  DirectoryListing listing_;
  bool has_seed_ = false;
  std::uint64_t seed_ = 0;
  std::uint32_t parts_ = 1;
  std::uint64_t checkpoint_ = 0;
  std::uint32_t checkpoint_parts_ = 0;
  std::vector<EpochPlan> epochs_;

  NameHistory names_;
  std::map<std::uint32_t, SeenSerial> seen_;
  std::set<std::uint32_t> gone_;                                    // dropped or replaced
  std::map<std::pair<std::uint32_t, std::uint32_t>, Texts> texts_;  // by serial and column
  std::set<std::uint32_t> cleared_;                                 // which could not be repeated
  bool names_damaged_ = false;
  Arena* arena_ = nullptr;
  RestoredCollections collections_;
  RepairReport report_;
};

}  // namespace kv::persist
