// The test framework without its main function: helpers shared with the unit tests refer to it.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
