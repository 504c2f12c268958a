// The part of GCC's OpenMP run time that `parallel_for` (kernels/src/parallel.h) uses, on plain
// threads. libgomp synchronises with futexes that ThreadSanitizer does not see and takes for races;
// here every hand-over is a std::thread or an atomic, so that what it reports is a race of ours.

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace {

struct Team {
    std::once_flag prepared;
    std::atomic<long> next{0};
    long end = 0, step = 0;

    void prepare(long first, long last, long by) {
        std::call_once(prepared, [&] {
            next = first;
            end = last;
            step = by;
        });
    }
};

thread_local Team* team = nullptr;
thread_local int number = 0;

void work(Team* joined, int place, void (*body)(void*), void* data) {
    team = joined;
    number = place;
    body(data);
    team = nullptr;
    number = 0;
}

void run(Team& joined, void (*body)(void*), void* data, unsigned threads) {
    std::vector<std::thread> others;
    for (unsigned place = 1; place < threads; ++place) {
        others.emplace_back(work, &joined, static_cast<int>(place), body, data);
    }
    work(&joined, 0, body, data);
    for (std::thread& other : others) other.join();
}

}  // namespace

// GCC starts a loop with `GOMP_parallel` and `..._start`, or with optimisation in one call.
extern "C" {

int omp_get_thread_num() { return number; }

bool GOMP_loop_nonmonotonic_dynamic_next(long* first, long* last) {
    const long task = team->next.fetch_add(team->step, std::memory_order_relaxed);
    *first = task;
    *last = task + team->step;
    return task < team->end;
}

void GOMP_loop_end_nowait() {}

void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned) {
    Team joined;
    run(joined, body, data, threads);
}

bool GOMP_loop_nonmonotonic_dynamic_start(long first, long end, long step, long, long* begin,
                                          long* last) {
    team->prepare(first, end, step);
    return GOMP_loop_nonmonotonic_dynamic_next(begin, last);
}

void GOMP_parallel_loop_nonmonotonic_dynamic(void (*body)(void*), void* data, unsigned threads,
                                             long first, long end, long step, long, unsigned) {
    Team joined;
    joined.prepare(first, end, step);
    run(joined, body, data, threads);
}

}  // extern "C"
