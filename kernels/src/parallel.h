// Loops over independent tasks on a given number of threads; serial if built without OpenMP.
#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>

namespace makeup {

// Number of threads that a loop of `tasks` tasks uses.
inline int worker_count(int tasks, int threads) { return std::max(1, std::min(tasks, threads)); }

// Calls body(task, worker) for each task in [0, tasks). A worker runs one task at a time, so
// scratch memory can be held per worker. The body must not throw.
template <class Body>
void parallel_for(int tasks, int threads, const Body& body) {
#ifdef _OPENMP
    const int workers = worker_count(tasks, threads);
#pragma omp parallel for schedule(dynamic) num_threads(workers) if (workers > 1)
    for (int task = 0; task < tasks; ++task) body(task, omp_get_thread_num());
#else
    (void)threads;
    for (int task = 0; task < tasks; ++task) body(task, 0);
#endif
}

}  // namespace makeup
