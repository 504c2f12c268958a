// The functions of the CUDA driver that `benchmarks/driver_api` calls, on the host: memory is the
// host's, and the "code" of a module is the path of a library of emulated kernels.

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define DRIVER extern "C" __attribute__((visibility("default")))

namespace {

constexpr int kInvalidValue = 1, kInvalidContext = 201, kNotFound = 500, kInvalidImage = 200;
int contexts = 0;
int kContext = 0;
long allocated = 0;

struct Function {
    void (*kernel)(const void*);
    std::size_t size;
    int threads;
    void (*emulate)(void (*)(const void*), const void*, const unsigned*, const unsigned*, int);
};

struct Event {
    float at = 0;
};

// time passes by launches
float now = 0;

struct Copy2D {
    struct Side {
        std::size_t x, y;
        int memory;
        void* host;
        std::uint64_t device;
        void* array;
        std::size_t pitch;
    };
    Side source, target;
    std::size_t width, height;
};

char* bytes(std::uint64_t pointer) { return reinterpret_cast<char*>(pointer); }

}  // namespace

DRIVER int cuInit(unsigned) { return std::getenv("NO_GPU") ? 100 : 0; }

DRIVER int cuGetErrorName(int status, const char** name) {
    *name = status == 100               ? "CUDA_ERROR_NO_DEVICE"
            : status == kInvalidContext ? "CUDA_ERROR_INVALID_CONTEXT"
            : status == kInvalidImage   ? "CUDA_ERROR_INVALID_IMAGE"
            : status == kNotFound       ? "CUDA_ERROR_NOT_FOUND"
                                        : "CUDA_ERROR_INVALID_VALUE";
    return 0;
}

DRIVER int cuDeviceGet(int* device, int number) {
    *device = number;
    return number ? kInvalidValue : 0;
}

DRIVER int cuDeviceGetName(char* name, int length, int) {
    std::snprintf(name, static_cast<std::size_t>(length), "Emulated 16");
    return 0;
}

DRIVER int cuDeviceGetAttribute(int* value, int attribute, int) {
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 16 : -1;
    return *value < 0 ? kInvalidValue : 0;
}

DRIVER int cuDevicePrimaryCtxRetain(void** context, int) {
    *context = &kContext;
    return 0;
}

DRIVER int cuCtxPushCurrent_v2(void* context) {
    ++contexts;
    return context == &kContext ? 0 : kInvalidValue;
}

DRIVER int cuCtxPopCurrent_v2(void**) { return contexts-- > 0 ? 0 : kInvalidContext; }

DRIVER int cuCtxGetCurrent(void** context) {
    *context = contexts ? &kContext : nullptr;
    return 0;
}

DRIVER int cuCtxSynchronize() { return contexts ? 0 : kInvalidContext; }

DRIVER int cuMemAlloc_v2(std::uint64_t* pointer, std::size_t size) {
    if (!contexts) return kInvalidContext;
    void* memory = std::aligned_alloc(256, (size + 255) / 256 * 256);
    std::memset(memory, 0xA5, size);
    *pointer = reinterpret_cast<std::uint64_t>(memory);
    ++allocated;
    return 0;
}

DRIVER int cuMemFree_v2(std::uint64_t pointer) {
    if (!contexts) return kInvalidContext;
    std::free(bytes(pointer));
    --allocated;
    return 0;
}

// for tests: allocations that live
DRIVER long allocations() { return allocated; }

DRIVER int cuMemcpyHtoD_v2(std::uint64_t target, const void* source, std::size_t size) {
    std::memcpy(bytes(target), source, size);
    return 0;
}

DRIVER int cuMemcpyDtoH_v2(void* target, std::uint64_t source, std::size_t size) {
    std::memcpy(target, bytes(source), size);
    return 0;
}

DRIVER int cuMemcpyDtoDAsync_v2(std::uint64_t target, std::uint64_t source, std::size_t size,
                                void*) {
    std::memmove(bytes(target), bytes(source), size);
    return 0;
}

DRIVER int cuMemcpy2DAsync_v2(const Copy2D* copy, void*) {
    const auto& [source, target, width, height] = *copy;
    if (source.memory != 2 || target.memory != 2) return kInvalidValue;
    for (std::size_t row = 0; row < height; ++row) {
        std::memcpy(bytes(target.device) + row * target.pitch,
                    bytes(source.device) + row * source.pitch, width);
    }
    return 0;
}

DRIVER int cuMemsetD32Async(std::uint64_t target, unsigned value, std::size_t count, void*) {
    for (std::size_t i = 0; i < count; ++i) std::memcpy(bytes(target) + 4 * i, &value, 4);
    return 0;
}

DRIVER int cuModuleLoadData(void** module, const char* path) {
    *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return *module ? 0 : kInvalidImage;
}

DRIVER int cuModuleGetFunction(Function** function, void* module, const char* name) {
    char part[256];
    const auto symbol = [&](const char* suffix) {
        std::snprintf(part, sizeof part, "%s%s", name, suffix);
        return dlsym(module, part);
    };
    if (!symbol("")) return kNotFound;
    *function = new Function{
        reinterpret_cast<void (*)(const void*)>(symbol("")),
        *static_cast<const std::size_t*>(symbol("_size")),
        *static_cast<const int*>(symbol("_threads")),
        reinterpret_cast<decltype(Function::emulate)>(dlsym(module, "emulate")),
    };
    return 0;
}

DRIVER int cuLaunchKernel(const Function* function, unsigned grid_x, unsigned grid_y,
                          unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                          unsigned shared, void*, void** parameters, void** extra) {
    const auto tag = [&](int i) { return reinterpret_cast<std::uintptr_t>(extra[i]); };
    const bool packed = !parameters && !shared && tag(0) == 1 && tag(2) == 2 && tag(4) == 0;
    if (!contexts) return kInvalidContext;
    if (!packed || *static_cast<std::size_t*>(extra[3]) != function->size) return kInvalidValue;
    if (block_x != static_cast<unsigned>(function->threads)) return kInvalidValue;
    const unsigned grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
    function->emulate(function->kernel, extra[1], grid, block, 1);
    now += 1;
    return 0;
}

DRIVER int cuStreamCreate(void** stream, unsigned) {
    *stream = &kContext;
    return 0;
}

DRIVER int cuStreamSynchronize(void*) { return 0; }

DRIVER int cuEventCreate(Event** event, unsigned) {
    *event = new Event;
    return 0;
}

DRIVER int cuEventRecord(Event* event, void*) {
    event->at = now;
    return 0;
}

DRIVER int cuEventSynchronize(Event*) { return 0; }

DRIVER int cuEventElapsedTime(float* milliseconds, const Event* start, const Event* end) {
    *milliseconds = end->at - start->at;
    return 0;
}
