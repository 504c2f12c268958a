// Python bindings of the CPU kernels. Python checks arguments, with readable messages; here only
// what memory safety needs: exact dtypes (noconvert), ranks and equal sizes.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "apply_color_map/cpu.h"
#include "arrays.h"
#include "attentive_morph/cpu.h"
#include "composite/cpu.h"
#include "isa.h"
#include "match_region_histograms/cpu.h"
#include "paint_layers/cpu.h"
#include "parallel.h"

namespace py = pybind11;
using namespace makeup;

namespace {

using FloatArray = py::array_t<float, 0>;
using ByteArray = py::array_t<std::uint8_t, 0>;

void expect(bool holds) {
    if (!holds) throw std::invalid_argument("array of the wrong shape");
}

template <class First, class... Others>
void expect_same_grid(const First& first, const Others&... others) {
    expect(((others.rows == first.rows && others.columns == first.columns) && ...));
}

// An image (H, W, 3) is a volume of H planes of W rows and 3 columns.
template <class T>
void expect_image(const Volume<T>& image, const Plane<const std::uint8_t>& regions) {
    expect(image.planes == regions.rows && image.rows == regions.columns && image.columns == 3);
}

template <class T>
Plane<const T> plane(const py::array_t<T, 0>& a) {
    expect(a.ndim() == 2);
    return {a.data(), a.shape(0), a.shape(1), a.strides(0), a.strides(1)};
}

template <class T>
Volume<const T> volume(const py::array_t<T, 0>& a) {
    expect(a.ndim() == 3);
    return {a.data(), a.shape(0), a.shape(1), a.shape(2), a.strides(0), a.strides(1), a.strides(2)};
}

template <class T>
Volume<T> writable_volume(py::array_t<T, 0>& a) {
    expect(a.ndim() == 3);
    return {a.mutable_data(), a.shape(0),   a.shape(1),  a.shape(2),
            a.strides(0),     a.strides(1), a.strides(2)};
}

std::string compiler() {
#if defined(__clang__)
    const std::string name = "clang ";
    const int version[] = {__clang_major__, __clang_minor__, __clang_patchlevel__};
#else
    const std::string name = "gcc ";
    const int version[] = {__GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__};
#endif
    return name + std::to_string(version[0]) + "." + std::to_string(version[1]) + "." +
           std::to_string(version[2]);
}

int default_threads() {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void bind_attentive_morph(py::module_& m) {
    py::class_<CpuMorphReference>(m, "MorphReference")
        .def(py::init([](const FloatArray& features, const FloatArray& landmarks,
                         const ByteArray& regions, const FloatArray& values, double visual_weight,
                         double temperature, double pixel_stride, const std::string& isa) {
                 const auto f = volume(features);
                 const auto l = plane(landmarks);
                 const auto r = plane(regions);
                 const auto v = volume(values);
                 expect_same_grid(r, f, v);
                 expect(l.columns == 2);
                 const Isa chosen = find_isa(isa);
                 py::gil_scoped_release unlocked;
                 return std::make_unique<CpuMorphReference>(
                     f, l, r, v, MorphOptions{visual_weight, temperature, pixel_stride}, chosen);
             }),
             py::arg("features").noconvert(), py::arg("landmarks").noconvert(),
             py::arg("regions").noconvert(), py::arg("values").noconvert(),
             py::arg("visual_weight"), py::arg("temperature"), py::arg("pixel_stride"),
             py::arg("isa"))
        .def(
            "morph",
            [](const CpuMorphReference& self, const FloatArray& features,
               const FloatArray& landmarks, const ByteArray& regions, FloatArray& out,
               int threads) {
                const auto f = volume(features);
                const auto l = plane(landmarks);
                const auto r = plane(regions);
                const auto o = writable_volume(out);
                expect_same_grid(r, f, o);
                expect(f.planes == self.channels() && o.planes == self.values());
                expect(l.rows == self.points() && l.columns == 2);
                py::gil_scoped_release unlocked;
                self.morph(f, l, r, o, threads);
            },
            py::arg("features").noconvert(), py::arg("landmarks").noconvert(),
            py::arg("regions").noconvert(), py::arg("out").noconvert(), py::arg("threads"));
}

void bind_match_region_histograms(py::module_& m) {
    py::class_<CpuRegionHistogram>(m, "RegionHistogram")
        .def(py::init([](const ByteArray& image, const ByteArray& regions,
                         const std::vector<int>& ids, int threads) {
                 const auto i = volume(image);
                 const auto r = plane(regions);
                 expect_image(i, r);
                 py::gil_scoped_release unlocked;
                 return std::make_unique<CpuRegionHistogram>(i, r, ids, threads);
             }),
             py::arg("image").noconvert(), py::arg("regions").noconvert(), py::arg("ids"),
             py::arg("threads"))
        .def(
            "match",
            [](const CpuRegionHistogram& self, const ByteArray& source, const ByteArray& regions,
               ByteArray& out, int threads) {
                const auto s = volume(source);
                const auto r = plane(regions);
                const auto o = writable_volume(out);
                expect_image(s, r);
                expect_image(o, r);
                py::gil_scoped_release unlocked;
                self.match(s, r, o, threads);
            },
            py::arg("source").noconvert(), py::arg("regions").noconvert(),
            py::arg("out").noconvert(), py::arg("threads"));
}

void bind_composite(py::module_& m) {
    m.def(
        "composite",
        [](ByteArray& frame, const ByteArray& source_crop, const ByteArray& result_crop,
           const FloatArray& mask, const std::array<double, 6>& matrix, int threads,
           const std::string& isa) {
            const auto f = writable_volume(frame);
            const auto s = volume(source_crop);
            const auto r = volume(result_crop);
            const auto k = plane(mask);
            expect(f.columns == 3 && f.row_stride == 3 && f.column_stride == 1);
            expect(s.columns == 3 && s.planes == k.rows && s.rows == k.columns);
            expect(r.columns == 3 && r.planes == k.rows && r.rows == k.columns);
            const Isa chosen = find_isa(isa);
            py::gil_scoped_release unlocked;
            composite(f, s, r, k, matrix, threads, chosen);
        },
        py::arg("frame").noconvert(), py::arg("source_crop").noconvert(),
        py::arg("result_crop").noconvert(), py::arg("mask").noconvert(), py::arg("matrix"),
        py::arg("threads"), py::arg("isa"));
}

void bind_apply_color_map(py::module_& m) {
    m.def(
        "apply_color_map",
        [](ByteArray& frame, const FloatArray& change, const std::array<double, 6>& matrix,
           int threads, const std::string& isa) {
            const auto f = writable_volume(frame);
            const auto c = volume(change);
            expect(f.columns == 3 && f.row_stride == 3 && f.column_stride == 1);
            expect(c.planes == 6);
            const Isa chosen = find_isa(isa);
            py::gil_scoped_release unlocked;
            apply_color_map(f, c, matrix, threads, chosen);
        },
        py::arg("frame").noconvert(), py::arg("change").noconvert(), py::arg("matrix"),
        py::arg("threads"), py::arg("isa"));
}

using LayerTuple = std::tuple<int, std::ptrdiff_t, FloatArray, FloatArray, float, float, float>;

// A layer over rows x columns cells, from contiguous arrays.
PaintLayer paint_layer(const LayerTuple& layer, std::ptrdiff_t rows, std::ptrdiff_t columns) {
    const auto& [kind, top, weight_array, color_array, amount, hiding, leveling] = layer;
    expect(kind >= 0 && kind <= 2);
    const auto weights = volume(weight_array);
    const auto colors = volume(color_array);
    const bool flat = colors.rows == 1 && colors.columns == 1;
    const bool whole = colors.rows == weights.rows && colors.columns == columns;
    const std::ptrdiff_t size = weights.rows * columns;
    const auto gapless = py::array::c_style;
    expect((weight_array.flags() & gapless) && (color_array.flags() & gapless));
    expect(top >= 0 && top + weights.rows <= rows && weights.columns == columns);
    expect(kind != 1 || weights.rows == rows);
    expect(weights.planes == 1 || (kind == 1 && weights.planes == 3));
    expect(colors.planes == 3 && (flat || (whole && kind == 0)));
    return {static_cast<LayerKind>(kind),
            top * columns,
            size,
            weights.data,
            weights.planes == 1 ? 0 : size,
            colors.data,
            flat ? 1 : size,
            flat,
            amount,
            hiding,
            leveling};
}

void bind_paint_layers(py::module_& m) {
    m.def(
        "paint_layers",
        [](const FloatArray& bare, const std::array<float, 3>& light, float base,
           const std::vector<LayerTuple>& layers, FloatArray& change, const std::string& isa) {
            const auto b = volume(bare);
            const auto c = writable_volume(change);
            const auto gapless = py::array::c_style;
            expect((bare.flags() & gapless) && (change.flags() & gapless));
            expect(b.columns == 3 && c.planes == 6 && c.rows == b.planes && c.columns == b.rows);
            std::vector<PaintLayer> views;
            for (const auto& layer : layers) {
                views.push_back(paint_layer(layer, c.rows, c.columns));
            }
            const Isa chosen = find_isa(isa);
            py::gil_scoped_release unlocked;
            paint_layers({b.data, light, base}, views, c.rows, c.columns, c.data, chosen);
        },
        py::arg("bare").noconvert(), py::arg("light"), py::arg("base"), py::arg("layers"),
        py::arg("change").noconvert(), py::arg("isa"));
}

}  // namespace

PYBIND11_MODULE(_cpu, m) {
    m.doc() = "Compiled CPU kernels of makeup_kernels";
    m.attr("compiler") = compiler();
#ifdef _OPENMP
    m.attr("openmp") = true;
#else
    m.attr("openmp") = false;
#endif
    m.def("available_isas", &available_isas,
          "Instruction sets compiled in that this processor has, narrowest first");
    m.def("default_threads", &default_threads, "Threads of a call that does not name a number");
    bind_attentive_morph(m);
    bind_match_region_histograms(m);
    bind_composite(m);
    bind_apply_color_map(m);
    bind_paint_layers(m);
}
