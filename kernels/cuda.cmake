# The CUDA kernels, for MAKEUP_CUDA=ON: nvcc alone, no GPU and no CUDA language support needed. One
# fatbin per operation, and a manifest that vouches for them (makeup_kernels/cuda/code.py reads it),
# installed into the package. As a script (cmake -P) this file writes the manifest.

set(MAKEUP_CUDA_OPERATIONS
  align apply_color_map attentive_morph composite match_region_histograms region_maps)

if(CMAKE_SCRIPT_MODE_FILE)
  # needs PACKAGE, FOLDER, TARGETS (joined by commas), COMPILER
  file(GLOB sources RELATIVE ${PACKAGE} ${PACKAGE}/*/*.cu ${PACKAGE}/*/*.cuh)
  list(SORT sources)
  set(lines "")
  foreach(source IN LISTS sources)
    file(SHA256 ${PACKAGE}/${source} digest)
    string(APPEND lines "${digest}  ${source}\n")
  endforeach()
  string(SHA256 sources_digest "${lines}")
  set(files "")
  foreach(operation IN LISTS MAKEUP_CUDA_OPERATIONS)
    file(SHA256 ${FOLDER}/${operation}.fatbin digest)
    list(APPEND files "    \"${operation}.fatbin\": \"${digest}\"")
  endforeach()
  list(JOIN files ",\n" files)
  string(REPLACE "," "\", \"" targets "${TARGETS}")
  file(WRITE ${FOLDER}/manifest.json "{
  \"targets\": [\"${targets}\"],
  \"sources\": \"${sources_digest}\",
  \"compiler\": \"${COMPILER}\",
  \"files\": {\n${files}\n  }\n}\n")
  return()
endif()

set(MAKEUP_CUDA_TARGETS sm_87 sm_89 sm_90 sm_100 sm_110 sm_120 compute_80
  CACHE STRING "GPUs to compile the CUDA kernels for; compute_NN is PTX")
find_program(MAKEUP_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
if(NOT MAKEUP_NVCC)
  message(FATAL_ERROR "MAKEUP_CUDA is ON but nvcc was not found: install the CUDA toolkit (13 for all "
    "targets), set CUDA_HOME, or turn MAKEUP_CUDA off")
endif()
execute_process(COMMAND ${MAKEUP_NVCC} --version OUTPUT_VARIABLE nvcc_version)
string(REGEX REPLACE ".* V([0-9.]+).*" "\\1" nvcc_version "${nvcc_version}")

set(package ${CMAKE_CURRENT_SOURCE_DIR}/kernels/makeup_kernels)
set(folder ${CMAKE_CURRENT_BINARY_DIR}/cuda)
file(MAKE_DIRECTORY ${folder})
file(GLOB headers CONFIGURE_DEPENDS ${package}/*/*.cuh)
set(codes "")
foreach(target IN LISTS MAKEUP_CUDA_TARGETS)
  string(REGEX REPLACE "^[a-z]+_" "" number ${target})
  list(APPEND codes -gencode arch=compute_${number},code=${target})
endforeach()
set(fatbins "")
foreach(operation IN LISTS MAKEUP_CUDA_OPERATIONS)
  set(fatbin ${folder}/${operation}.fatbin)
  set(source ${package}/${operation}/cuda.cu)
  add_custom_command(
    OUTPUT ${fatbin}
    COMMAND ${MAKEUP_NVCC} -fatbin -std=c++17 -O3 -I${package} ${codes} -o ${fatbin} ${source}
    DEPENDS ${source} ${headers}
    COMMENT "CUDA kernels of ${operation}"
    VERBATIM)
  list(APPEND fatbins ${fatbin})
endforeach()
list(JOIN MAKEUP_CUDA_TARGETS "," joined)
add_custom_command(
  OUTPUT ${folder}/manifest.json
  COMMAND ${CMAKE_COMMAND} -DPACKAGE=${package} -DFOLDER=${folder} -DTARGETS=${joined}
    -DCOMPILER=${nvcc_version} -P ${CMAKE_CURRENT_LIST_FILE}
  DEPENDS ${fatbins}
  VERBATIM)
add_custom_target(makeup_cuda ALL DEPENDS ${folder}/manifest.json)
install(FILES ${fatbins} ${folder}/manifest.json DESTINATION makeup_kernels/cuda/compiled)
