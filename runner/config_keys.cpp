#include "config_keys.hpp"

#include <chrono>
#include <optional>

#include "concat.hpp"
#include "config_values.hpp"
#include "kv_storage/schema.hpp"

namespace runner {
namespace {

void set_types(const std::string& value, kv::CsvOptions& options) {
  for (const std::string& item : parse_list(value)) {
    const std::size_t colon = item.rfind(':');
    if (colon == std::string::npos || colon == 0) throw BadValue(concat("'", item, "' is not 'column:type'"));
    const std::string column = item.substr(0, colon);
    const std::string type = item.substr(colon + 1);
    try {
      (void)kv::Schema::parse_type(column, type);
    } catch (const kv::Error& error) {
      throw BadValue(error.what());
    }
    if (!options.types.emplace(column, type).second) throw BadValue(concat("column '", column, "' is named twice"));
  }
}

void set_missing(const std::string& value, kv::CsvOptions& options) {
  options.missing = parse_list(value);
  options.missing.insert(options.missing.begin(), "");
}

void set_transform(const std::string& value, CsvSource& source) {
  const std::size_t colon = value.find(':');
  const bool complete = colon != std::string::npos && colon > 0 && colon + 1 < value.size();
  if (!value.empty() && !complete) throw BadValue(concat("'", value, "' is not 'module:function'"));
  source.transform = value;
}

constexpr ConfigKey kKeys[] = {
    {"kv_storage", "path", "",
     "Data directory, relative to this file: every process of this user that opens it has the same live store. It is "
     "made\n"
     "if missing, its parents are not. What was written is there again after all have ended. Empty = a store of this\n"
     "process and its children, in memory.",
     [](const std::string& value, Config& config, CsvSource&) { config.directory = value; }},
    {"kv_storage", "sync", "interval",
     "With a path, what a power failure may take: off (what was written since the last flush or checkpoint) | "
     "interval\n"
     "(what was written in the last sync_interval) | always (nothing: a write returns when it is on disk).",
     [](const std::string& value, Config& config, CsvSource&) {
       config.store.sync = parse_choice<kv::SyncMode>(
           value,
           {{"off", kv::SyncMode::kOff}, {"interval", kv::SyncMode::kInterval}, {"always", kv::SyncMode::kAlways}});
     }},
    {"kv_storage", "sync_interval", "1s", "Of sync = interval: 500ms, 1s, 5min; at most 1h.",
     [](const std::string& value, Config& config, CsvSource&) {
       const std::chrono::milliseconds interval = parse_duration(value);
       if (interval < std::chrono::milliseconds(1) || interval > std::chrono::hours(1)) {
         throw BadValue(concat("'", value, "' is not between 1ms and 1h"));
       }
       config.store.sync_interval_ms = static_cast<std::uint32_t>(interval.count());
     }},
    {"kv_storage", "max_memory", "0",
     "Upper bound of the memory the store may take: 4096, 256MB (10^6), 1GiB (2^30), 10% (of RAM, or of the "
     "container's\n"
     "limit if that is smaller). 0 = 60%: Python needs the rest.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.store.max_memory = parse_size(value, kv::system::memory_limit());
     }},
    {"kv_storage", "parts", "0", "Into how many parts a Hash is split, 1 to 64. 0 = automatic.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.store.parts = static_cast<std::uint32_t>(parse_count(value, 64));
     }},
    {"kv_storage", "cache", "256MB",
     "Capacity of the cache `default`, which scripts open by Cache(). It takes memory as it fills.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.store.cache_capacity = parse_size(value, kv::system::memory_limit());
       if (config.store.cache_capacity < kv::kMinCacheCapacity) {
         throw BadValue(concat("'", value, "' is less than a cache needs: ", std::to_string(kv::kMinCacheCapacity)));
       }
     }},
    {"kv_storage", "csv", "",
     "Short form for one CSV file: its path, relative to this file. The section [csv] says how to load it.",
     [](const std::string& value, Config& config, CsvSource&) { config.csv = value; }},

    {"csv", "path", "", "The file, relative to this one. In [csv] only if `csv =` above is empty.",
     [](const std::string& value, Config&, CsvSource& source) { source.options.path = value; }},
    {"csv", "into", "", "The collection. Empty = NAME, and in [csv] the file's name without its extension.",
     [](const std::string& value, Config&, CsvSource& source) { source.options.into = value; }},
    {"csv", "key", "",
     "Template of the keys, with Python's format specifications: {origin}-{dest}-{day:02}-{month:02}-{year}.\n"
     "Every file needs one.",
     [](const std::string& value, Config&, CsvSource& source) { source.options.key = value; }},
    {"csv", "types", "", "Types of columns: dep_delay:float32, carrier:category. Those not named are inferred.",
     [](const std::string& value, Config&, CsvSource& source) { set_types(value, source.options); }},
    {"csv", "where", "", "Which rows to load: dep_delay is not null and month == 6. Empty = all.",
     [](const std::string& value, Config&, CsvSource& source) { source.options.where = value; }},
    {"csv", "transform", "",
     "module:function, called with each batch of rows as a dict of NumPy columns; it may add, change or drop columns "
     "and\n"
     "rows. Modules are looked for beside this file, then beside the script.",
     [](const std::string& value, Config&, CsvSource& source) { set_transform(value, source); }},
    {"csv", "on_duplicate", "error", "If two rows have one key: error | first | last.",
     [](const std::string& value, Config&, CsvSource& source) {
       source.options.on_duplicate = parse_choice<kv::OnDuplicate>(
           value,
           {{"error", kv::OnDuplicate::kError}, {"first", kv::OnDuplicate::kFirst}, {"last", kv::OnDuplicate::kLast}});
     }},
    {"csv", "delimiter", "auto", "One character, or auto | comma | tab | semicolon | pipe | space.",
     [](const std::string& value, Config&, CsvSource& source) {
       source.options.delimiter = parse_character(
           value, {{"auto", '\0'}, {"comma", ','}, {"tab", '\t'}, {"semicolon", ';'}, {"pipe", '|'}, {"space", ' '}});
     }},
    {"csv", "quote", "\"", "The character around fields that hold delimiters or line ends.",
     [](const std::string& value, Config&, CsvSource& source) { source.options.quote = parse_character(value, {}); }},
    {"csv", "header", "auto", "Whether the first line names the columns: yes | no | auto (no if `columns` is given).",
     [](const std::string& value, Config&, CsvSource& source) {
       source.options.header =
           parse_choice<std::optional<bool>>(value, {{"yes", true}, {"no", false}, {"auto", std::nullopt}});
     }},
    {"csv", "columns", "", "Names of the columns: a, b, c. Empty = those of the header, or c0, c1, c2 ...",
     [](const std::string& value, Config&, CsvSource& source) { source.options.columns = parse_list(value); }},
    {"csv", "missing", "NA, N/A, NaN, nan, null, NULL, None",
     "Texts that stand for no value. An empty field always does.",
     [](const std::string& value, Config&, CsvSource& source) { set_missing(value, source.options); }},
    {"csv", "threads", "0", "How many threads load the file. 0 = as many as there are CPUs.",
     [](const std::string& value, Config&, CsvSource& source) {
       source.options.threads = static_cast<std::uint32_t>(parse_count(value, 1024));
     }},

    {"python", "gc", "on",
     "Python's cyclic garbage collector: on | off | freeze. freeze: what exists when a process forks is not scanned in "
     "the\n"
     "child, so that its pages stay shared with the parent.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.gc =
           parse_choice<GcMode>(value, {{"on", GcMode::kOn}, {"off", GcMode::kOff}, {"freeze", GcMode::kFreeze}});
     }},
    {"python", "allocator", "pymalloc",
     "Where Python's objects come from: pymalloc, its own allocator for small ones | malloc, which is jemalloc where "
     "it "
     "is\n"
     "linked (runner --version). PYTHONMALLOC and -X dev win.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.allocator =
           parse_choice<Allocator>(value, {{"pymalloc", Allocator::kPymalloc}, {"malloc", Allocator::kMalloc}});
     }},

    {"runner", "progress", "auto",
     "Whether loading shows its progress on standard error: auto (if that is a terminal) | on | off.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.progress = parse_choice<ProgressMode>(
           value, {{"auto", ProgressMode::kAuto}, {"on", ProgressMode::kOn}, {"off", ProgressMode::kOff}});
     }},
    {"runner", "workers", "0",
     "How many worker processes share the store, each an interpreter of its own that runs the program, under a "
     "supervisor\n"
     "that replaces them on SIGHUP and when they die: 1 to 256. 0 = the program runs in this process.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.workers.count = static_cast<unsigned>(parse_count(value, kMaxWorkers));
     }},
    {"runner", "listen", "",
     "Where the supervisor listens: 127.0.0.1:8080, [::1]:8080, name:8080 (port 0 = any), unix:/run/app.sock. Workers "
     "get\n"
     "the socket as from systemd: descriptor 3, LISTEN_FDS. Empty = they see to it themselves.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.workers.listen = parse_listen_address(value);
       config.workers.listen_text = value;
     }},
    {"runner", "ready_timeout", "10s",
     "How long a new worker may take to say that it serves (READY=1 to NOTIFY_SOCKET). One that lives, but has not "
     "said "
     "so\n"
     "by then, is taken as serving: 500ms, 10s, 2min.",
     [](const std::string& value, Config& config, CsvSource&) {
       config.workers.ready_timeout = parse_duration(value);
     }},
    {"runner", "stop_timeout", "30s", "How long a worker may take to end after SIGTERM, before it is killed.",
     [](const std::string& value, Config& config, CsvSource&) { config.workers.stop_timeout = parse_duration(value); }},
    {"runner", "pid_file", "", "File for the process number of the supervisor, relative to this one. Empty = none.",
     [](const std::string& value, Config& config, CsvSource&) { config.workers.pid_file = value; }},
};

}  // namespace

std::span<const ConfigKey> config_keys() { return kKeys; }

std::string_view section_help(std::string_view section) {
  if (section == "kv_storage") return "The store.";
  if (section == "csv") return "How to load the file that `csv =` names. For more files: [csv:NAME], with `path =`.";
  if (section == "python") return "The interpreter.";
  return "The process.";
}

}  // namespace runner
