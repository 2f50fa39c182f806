# ROS 2 from PyPI wheels: their exported interface targets name Python include folders of the machine that built them,
# which CMake rejects when it generates. Drop those entries once all packages are found; anywhere else nothing matches.
function(drop_foreign_python_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders MATCHES "/opt/python/cp3")
      list(FILTER folders EXCLUDE REGEX "^/opt/python/cp3")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${folders}")
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL drop_foreign_python_includes)
