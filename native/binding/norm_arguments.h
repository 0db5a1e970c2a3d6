#pragma once
#include <array>
#include <optional>
#include <string>

#include "binding/arguments.h"
#include "layers/norm_site.h"
#include "layers/recurrent/recurrent.h"

namespace evenkeel::binding {

// The normalisations within a recurrent cell, from the arguments `index` on: placement, kind, eps, then for each of two sites weight, bias,
// inputs and statistics, null where it has none; a forward pass may do without the last two unless it `keeps` them. In a backward pass the
// arguments from `gradients` on are each site's gradWeight and gradBias.
template <typename T>
NormSites<T> norm_sites(const Arguments& arguments, size_t index, const RecurrentShape& s, std::optional<size_t> gradients = {},
                        bool keeps = false) {
  const auto placement = static_cast<Placement>(arguments.integer(index, "placement", 0, 4));
  const NormShape shape = {.kind = static_cast<Norm>(arguments.integer(index + 1, "normKind", 0, 1)),
                           .sequences = s.n,
                           .size = s.h,
                           .eps = arguments.number(index + 2, "eps")};
  const auto points = norm_points(placement);
  std::array<NormArrays<T>, kMaxNormSites> arrays{};
  for (size_t site = 0; site < points.size(); ++site) {
    const std::string name = "norm[" + std::to_string(site) + "].";
    const size_t first = index + 3 + 4 * site;
    arrays[site].weight = arguments.array<T>(first, (name + "weight").c_str(), s.h);
    arrays[site].bias = arguments.optional_array<T>(first + 1, (name + "bias").c_str(), s.h);
    const auto kept = [&](size_t at, const char* what, size_t width) {
      const size_t count = arguments.product({s.n, s.t, width});
      return gradients || keeps ? arguments.array<T>(at, (name + what).c_str(), count)
                                : arguments.optional_array<T>(at, (name + what).c_str(), count);
    };
    if (keeps_inputs(points[site])) arrays[site].inputs = kept(first + 2, "inputs", s.h);
    arrays[site].statistics = kept(first + 3, "statistics", statistics_per_row(shape.kind));
    if (!gradients) continue;
    arrays[site].dweight = arguments.array<T>(*gradients + 2 * site, (name + "gradWeight").c_str(), s.h);
    arrays[site].dbias = arguments.optional_array<T>(*gradients + 2 * site + 1, (name + "gradBias").c_str(), s.h);
  }
  return NormSites<T>(placement, shape, arrays);
}

}  // namespace evenkeel::binding
