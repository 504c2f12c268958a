// Strided views of NumPy arrays and aligned scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace makeup {

// Element (i, j) or (i, j, k) of an array with strides in bytes, as in NumPy.
template <class T>
struct Plane {
    T* data;
    std::ptrdiff_t rows, columns;
    std::ptrdiff_t row_stride, column_stride;

    T* at(std::ptrdiff_t i, std::ptrdiff_t j) const {
        return reinterpret_cast<T*>(bytes() + i * row_stride + j * column_stride);
    }
    auto bytes() const {
        using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
        return reinterpret_cast<Byte*>(data);
    }
};

template <class T>
struct Volume {
    T* data;
    std::ptrdiff_t planes, rows, columns;
    std::ptrdiff_t plane_stride, row_stride, column_stride;

    Plane<T> plane(std::ptrdiff_t i) const {
        using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
        return {reinterpret_cast<T*>(reinterpret_cast<Byte*>(data) + i * plane_stride), rows,
                columns, row_stride, column_stride};
    }
};

// float[size] on a cache-line boundary, zero-filled.
class AlignedFloats {
 public:
    AlignedFloats() = default;
    explicit AlignedFloats(std::size_t size) {
        const std::size_t bytes = (size * sizeof(float) + 63) / 64 * 64;
        if (bytes == 0) return;
        data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
        if (!data_) throw std::bad_alloc();
        std::memset(data_.get(), 0, bytes);
    }
    float* get() const { return data_.get(); }

 private:
    struct Free {
        void operator()(float* p) const { std::free(p); }
    };
    std::unique_ptr<float[], Free> data_;
};

}  // namespace makeup
