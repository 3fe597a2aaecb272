// Recursive descent over the grammar in row_filter.hpp, one function per rule.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "csv/row_filter.hpp"
#include "csv/source.hpp"
#include "kv_storage/error.hpp"

namespace kv::csv {
namespace {

using Literal = RowFilter::Literal;
using Node = RowFilter::Node;
using Op = RowFilter::Node::Op;

constexpr int kMaxDepth = 200;  // of parentheses and `not`: the parser and accepts() recurse

struct Token {
  enum class Kind : std::uint8_t { kEnd, kWord, kName, kNumber, kText, kSymbol };
  Kind kind = Kind::kEnd;
  std::string text{};
  std::size_t position = 0;  // from 1
};

[[noreturn]] void refuse(std::size_t position, const std::string& what) { throw Error::at("where", 0, position, what); }

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_word(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || byte >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    Token token{.position = at_ + 1};
    if (at_ == text_.size()) return token;
    const char c = text_[at_];
    if (c == '\'' || c == '"' || c == '`') {
      token.kind = c == '`' ? Token::Kind::kName : Token::Kind::kText;
      token.text = take_quoted(c);
    } else if (is_digit(c) || ((c == '-' || c == '+' || c == '.') && number_follows())) {
      token.kind = Token::Kind::kNumber;
      token.text = take_number();
    } else if (is_word(c)) {
      token.kind = Token::Kind::kWord;
      token.text = take_while(is_word);
    } else {
      token.kind = Token::Kind::kSymbol;
      token.text = take_symbol();
    }
    return token;
  }

 private:
  [[nodiscard]] bool number_follows() const noexcept {
    std::size_t i = at_;
    if (text_[i] == '-' || text_[i] == '+') ++i;
    if (i < text_.size() && text_[i] == '.') ++i;
    return i < text_.size() && is_digit(text_[i]);
  }

  template <class Test>
  std::string take_while(Test test) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && test(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string take_quoted(char quote) {
    const std::size_t begin = at_++;
    std::string out;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        ++at_;
        if (at_ == text_.size() || text_[at_] != quote) return out;
      }
      out += text_[at_];
    }
    refuse(begin + 1, std::string("this ") + quote + " is never closed");
  }

  std::string take_number() {
    char before = 0;
    const auto part_of_number = [&before](char c) {
      const bool sign = c == '-' || c == '+';
      const bool part = is_word(c) || (sign && (before == 0 || before == 'e' || before == 'E'));
      before = c;
      return part;
    };
    return take_while(part_of_number);
  }

  std::string take_symbol() {
    for (const std::string_view symbol : {"==", "!=", "<>", "<=", ">=", "<", ">", "=", "(", ")", ","}) {
      if (!text_.substr(at_).starts_with(symbol)) continue;
      at_ += symbol.size();
      return std::string(symbol);
    }
    refuse(at_ + 1, "did not expect " + quoted(text_.substr(at_, 1)));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text), token_(lexer_.next()) {}

  Node parse() {
    Node node = filter(0);
    if (token_.kind != Token::Kind::kEnd) unexpected("'and', 'or' or the end");
    return node;
  }

 private:
  Node filter(int depth) {
    return joined(Op::kOr, "or", [&] { return joined(Op::kAnd, "and", [&] { return item(depth); }); });
  }

  template <class Operand>
  Node joined(Op op, std::string_view word, Operand operand) {
    Node first = operand();
    if (!is_keyword(word)) return first;
    Node node{.op = op};
    node.children.push_back(std::move(first));
    while (take_keyword(word)) node.children.push_back(operand());
    return node;
  }

  Node item(int depth) {
    if (depth > kMaxDepth) refuse(token_.position, "nested too deep");
    if (take_keyword("not")) {
      Node node{.op = Op::kNot};
      node.children.push_back(item(depth + 1));
      return node;
    }
    if (take_symbol("(")) {
      Node node = filter(depth + 1);
      if (!take_symbol(")")) unexpected("')'");
      return node;
    }
    return test();
  }

  Node test() {
    const bool name = token_.kind == Token::Kind::kName || (token_.kind == Token::Kind::kWord && !is_reserved());
    if (!name) unexpected("a column (write `name` for an unusual one)");
    Node node{.name = token_.text, .position = token_.position};
    advance();
    if (take_keyword("is")) {
      node.op = take_keyword("not") ? Op::kNotNull : Op::kNull;
      if (!take_keyword("null")) unexpected("'null'");
    } else if (const bool negated = take_keyword("not"); negated || is_keyword("in")) {
      if (!take_keyword("in")) unexpected("'in'");
      node.op = negated ? Op::kNotIn : Op::kIn;
      list(node.literals);
    } else {
      node.op = comparison();
      node.literals.push_back(literal());
    }
    return node;
  }

  Op comparison() {
    static constexpr std::array<std::pair<std::string_view, Op>, 8> kOperators = {{{"==", Op::kEqual},
                                                                                   {"=", Op::kEqual},
                                                                                   {"!=", Op::kNotEqual},
                                                                                   {"<>", Op::kNotEqual},
                                                                                   {"<", Op::kLess},
                                                                                   {"<=", Op::kAtMost},
                                                                                   {">", Op::kMore},
                                                                                   {">=", Op::kAtLeast}}};
    for (const auto& [symbol, op] : kOperators) {
      if (take_symbol(symbol)) return op;
    }
    unexpected("a comparison (==, !=, <, <=, >, >=, in, is null)");
  }

  void list(std::vector<Literal>& out) {
    if (!take_symbol("(")) unexpected("'(' and a list of values");
    do {
      out.push_back(literal());
    } while (take_symbol(","));
    if (!take_symbol(")")) unexpected("',' or ')'");
  }

  Literal literal() {
    Literal value{.text = token_.text, .position = token_.position};
    if (token_.kind == Token::Kind::kNumber) {
      value.kind = Literal::Kind::kNumber;
    } else if (token_.kind == Token::Kind::kText) {
      value.kind = Literal::Kind::kText;
    } else if (is_keyword("true") || is_keyword("false")) {
      value.kind = Literal::Kind::kBool;
      value.truth = is_keyword("true");
    } else {
      if (is_keyword("null")) unexpected("a value; test for missing values with 'is null'");
      unexpected("a number, a text in quotes, true or false");
    }
    advance();
    return value;
  }

  [[nodiscard]] bool is_reserved() const {
    return is_keyword("and") || is_keyword("or") || is_keyword("not") || is_keyword("in") || is_keyword("is") ||
           is_keyword("null") || is_keyword("true") || is_keyword("false");
  }

  [[nodiscard]] bool is_keyword(std::string_view word) const {
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
    return token_.kind == Token::Kind::kWord &&
           std::equal(token_.text.begin(), token_.text.end(), word.begin(), word.end(), same);
  }

  bool take_keyword(std::string_view word) {
    if (!is_keyword(word)) return false;
    advance();
    return true;
  }

  bool take_symbol(std::string_view symbol) {
    if (token_.kind != Token::Kind::kSymbol || token_.text != symbol) return false;
    advance();
    return true;
  }

  void advance() { token_ = lexer_.next(); }

  [[noreturn]] void unexpected(const std::string& wanted) const {
    const std::string found = token_.kind == Token::Kind::kEnd ? "the end" : quoted(token_.text);
    refuse(token_.position, "expected " + wanted + ", found " + found);
  }

  Lexer lexer_;
  Token token_;
};

}  // namespace

RowFilter::Node parse_filter(std::string_view text) { return Parser(text).parse(); }

}  // namespace kv::csv
