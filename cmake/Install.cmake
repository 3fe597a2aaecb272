# Where the executable, the extension module and its stub go.
#
# `pip install .` (scikit-build-core) names the directories of its wheel; `cmake --install build/release --prefix DIR`
# uses the layout of a virtual environment, so DIR may be one.

include(GNUInstallDirs)
if(SKBUILD)
  set(runner_dir "${SKBUILD_SCRIPTS_DIR}")
  set(module_dir "${SKBUILD_PLATLIB_DIR}")
else()
  set(runner_dir "${CMAKE_INSTALL_BINDIR}")
  set(module_dir "lib/python${Python_VERSION_MAJOR}.${Python_VERSION_MINOR}/site-packages")
endif()

install(TARGETS runner RUNTIME DESTINATION "${runner_dir}" COMPONENT runtime)
install(TARGETS kv_storage LIBRARY DESTINATION "${module_dir}/kv_storage" COMPONENT runtime)
install(FILES kv_storage_module/python/kv_storage_main.py DESTINATION "${module_dir}/kv_storage" RENAME __main__.py
  COMPONENT runtime)
install(FILES kv_storage_module/python/kv_storage.pyi DESTINATION "${module_dir}/kv_storage" RENAME __init__.pyi
  COMPONENT runtime)
install(FILES kv_storage_module/python/py.typed DESTINATION "${module_dir}/kv_storage" COMPONENT runtime)
