# Writes TEXT as a C++ raw string into HEADER: cmake -DTEXT=... -DHEADER=... -P embed.cmake
file(READ "${TEXT}" text)
file(WRITE "${HEADER}" "R\"embedded(${text})embedded\"\n")
