#include "index/node.hpp"

#include <algorithm>
#include <string_view>

namespace kv {
namespace {

// A prefix of up to 6 bytes lies in what rounding leaves of the block of an array for 2 or 10 children.
constexpr std::array<unsigned, 5> kArraySteps = {2, 4, 6, 10, kMaxArrayCapacity};
constexpr std::array<unsigned, 4> kBitmapSteps = {24, 32, 48, kMaxBitmapCapacity};

constexpr NodeShape array_shape(unsigned capacity, bool counted) noexcept {
  return {NodeForm::kArray, static_cast<std::uint8_t>(capacity), static_cast<std::uint16_t>(capacity), counted};
}

// The capacity that fills the block which `capacity` references need.
unsigned filled_capacity(unsigned capacity, std::size_t prefix_bytes, bool counted) noexcept {
  const auto bytes = [&](unsigned slots) { return node_bytes(array_shape(slots, counted), prefix_bytes); };
  const std::size_t block = (bytes(capacity) + kGranule - 1) / kGranule * kGranule;
  while (capacity < kMaxArrayCapacity && bytes(capacity + 1) <= block) ++capacity;
  return capacity;
}

// Free slots that a node must keep after shrinking.
constexpr std::size_t slack_of(NodeForm form) noexcept {
  switch (form) {
    case NodeForm::kFull:
      return 16;
    case NodeForm::kBitmap:
      return 4;
    default:
      return 1;
  }
}

constexpr auto kClassTable = [] {
  std::array<ByteClasses, 256> table{};
  unsigned next = 0;
  const auto assign = [&](unsigned first, unsigned last, unsigned per_class) {
    for (unsigned byte = first; byte <= last; ++byte) {
      table[byte] = ByteClasses{1} << (next + (byte - first) / per_class);
    }
    next += (last - first) / per_class + 1;
  };
  assign(0x00, 0xff, 256);  // class 0: whatever gets no other below
  for (const char separator : std::string_view("-:/._|,;@ ")) {
    table[static_cast<std::uint8_t>(separator)] = ByteClasses{1} << next++;
  }
  assign('0', '9', 2);
  assign('A', 'Z', 9);
  assign('a', 'z', 3);
  assign(0x80, 0xbf, 64);
  assign(0xc0, 0xff, 64);
  return table;
}();
static_assert([] {
  ByteClasses all = 0;
  for (const ByteClasses one : kClassTable) all |= one;
  return (all & kUnknownBelow) == 0 && all != 0;
}());

}  // namespace

const std::array<ByteClasses, 256> kByteClass = kClassTable;

ByteClasses classes_of(ByteView bytes) noexcept {
  ByteClasses classes = 0;
  for (const char byte : bytes) classes |= kByteClass[static_cast<std::uint8_t>(byte)];
  return classes;
}

std::uint8_t fitting_kind(std::size_t slots, std::size_t prefix_bytes, Counting counting) noexcept {
  const bool counted = counting == Counting::kOn;
  const unsigned flag = counted ? kCountedFlag : 0;
  if (slots <= kMaxArrayCapacity) {
    const unsigned step = *std::lower_bound(kArraySteps.begin(), kArraySteps.end(), slots);
    return static_cast<std::uint8_t>(flag + kArrayKind + filled_capacity(step, prefix_bytes, counted));
  }
  if (slots > kMaxBitmapCapacity) return static_cast<std::uint8_t>(flag + kFullKind);
  const unsigned step = *std::lower_bound(kBitmapSteps.begin(), kBitmapSteps.end(), slots);
  return static_cast<std::uint8_t>(flag + kBitmapKind + step / 8);
}

std::uint8_t shrunk_kind(std::uint8_t kind, std::size_t slots, std::size_t prefix_bytes) noexcept {
  const NodeShape shape = kNodeShapes[kind];
  return fitting_kind(slots + slack_of(shape.form), prefix_bytes, Counting{shape.counted});
}

bool oversized(std::uint8_t kind, std::size_t slots, std::size_t prefix_bytes) noexcept {
  const NodeShape shape = kNodeShapes[kind];
  const std::size_t wanted = slots + slack_of(shape.form);
  if (wanted >= shape.capacity) return false;
  const NodeShape smaller = kNodeShapes[fitting_kind(wanted, prefix_bytes, Counting{shape.counted})];
  return node_bytes(smaller, prefix_bytes) < node_bytes(shape, prefix_bytes);
}

void ChildList::read(const NodeView& node) noexcept {
  count = 0;
  counted = node.counted();
  if (node.shape().form == NodeForm::kArray) {
    count = node.children();
    for (unsigned i = 0; i < count; ++i) {
      edges[i] = load8(node.edges() + i);
      refs[i] = load32(node.slot(i));
    }
    for (unsigned i = 0; counted && i < count; ++i) counts[i] = node.count(i);
    return;
  }
  const bool full = node.shape().form == NodeForm::kFull;
  const unsigned children = node.children();
  for (unsigned word = 0; word < 4; ++word) {
    for (std::uint64_t bits = node.bitmap(word); bits != 0 && count < children; bits &= bits - 1) {
      const unsigned edge = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
      edges[count] = static_cast<std::uint8_t>(edge);
      const unsigned slot = full ? edge : count;
      refs[count] = load32(node.slot(slot));
      if (counted) counts[count] = node.count(slot);
      ++count;
    }
  }
}

void ChildList::insert(unsigned place, std::uint8_t edge, Ref ref, std::uint32_t entries) noexcept {
  std::copy_backward(edges.begin() + place, edges.begin() + count, edges.begin() + count + 1);
  std::copy_backward(refs.begin() + place, refs.begin() + count, refs.begin() + count + 1);
  edges[place] = edge;
  refs[place] = ref;
  if (counted) {
    std::copy_backward(counts.begin() + place, counts.begin() + count, counts.begin() + count + 1);
    counts[place] = entries;
  }
  ++count;
}

void ChildList::erase(unsigned place) noexcept {
  std::copy(edges.begin() + place + 1, edges.begin() + count, edges.begin() + place);
  std::copy(refs.begin() + place + 1, refs.begin() + count, refs.begin() + place);
  if (counted) std::copy(counts.begin() + place + 1, counts.begin() + count, counts.begin() + place);
  --count;
}

}  // namespace kv
