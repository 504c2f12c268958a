// Views of arrays without gaps, for the programs that call the CPU kernels without Python.
#pragma once

#include <cstddef>

#include "arrays.h"

template <class T, class Data>
makeup::Plane<T> plane(Data& data, std::ptrdiff_t rows, std::ptrdiff_t columns) {
    constexpr std::ptrdiff_t size = sizeof(T);
    return {data.data(), rows, columns, columns * size, size};
}

template <class T, class Data>
makeup::Volume<T> volume(Data& data, std::ptrdiff_t planes, std::ptrdiff_t rows,
                         std::ptrdiff_t columns) {
    constexpr std::ptrdiff_t size = sizeof(T);
    return {data.data(), planes, rows, columns, rows * columns * size, columns * size, size};
}
