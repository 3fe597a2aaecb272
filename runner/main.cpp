// runner: a Python program over a native key-value store. See run.cpp for what happens in which order.
#include <cstdio>
#include <exception>

#include "failure.hpp"
#include "run.hpp"

int main(int argc, char** argv) {
  try {
    return runner::run(argc, argv);
  } catch (const runner::Failure& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return failure.code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "runner: internal error: %s\n", error.what());
    return runner::kInternal;
  }
}
