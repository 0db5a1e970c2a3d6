#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "layers/cells/cell.h"
#include "layers/normalization.h"
#include "layers/sequence_sums.h"

namespace evenkeel {

// Where in the recurrence normalisations stand (Ba, Kiros, Hinton 2016, eq. 4 and supplement; Cooijmans et al. 2016).
enum class Placement : std::uint8_t { kNone = 0, kPreactivation = 1, kSplitPreactivation = 2, kRecurrentInput = 3, kHidden = 4 };

// What of a step a normalisation replaces by its normalised self.
enum class NormPoint : std::uint8_t {
  kOperand,        // what multiplies W_hh
  kProjected,      // x_t W_ihᵀ
  kRecurrent,      // operand_t W_hhᵀ
  kPreactivation,  // the sum of both and of the biases
  kState,          // φ of it
};
constexpr size_t kNormPoints = 5;
constexpr size_t kMaxNormSites = 2;

// The points of a placement, in the order of their parameters.
std::span<const NormPoint> norm_points(Placement placement) noexcept;

// Whether a site must keep what it normalised; h_{t−1}, the operand's, is at hand in the backward pass.
constexpr bool keeps_inputs(NormPoint point) noexcept { return point != NormPoint::kOperand; }

// Numbers of a sequence's step that a placement's sites keep.
size_t norm_tape(Placement placement, Norm kind, size_t size) noexcept;

// Of each row: mean, the mean's part below T's precision, 1/√(var + ε); for RMS the last alone.
constexpr size_t statistics_per_row(Norm kind) noexcept { return kind == Norm::kLayer ? 3 : 1; }

struct NormShape {
  Norm kind;
  size_t sequences, size;
  double eps;
  bool keeps;  // whether the pass has a tape
};

// A site's parameters, and their gradients.
template <typename T>
struct NormArrays {
  const T* weight;  // γ [size]
  const T* bias;    // β [size]; null where it has none
  T* dweight;       // [size], added to by accumulate(); null in a forward pass
  T* dbias;
};

// Where on the tape a site keeps what: numbers of each sequence that stand before it.
struct NormTape {
  size_t inputs;      // [size], at a point that keeps_inputs
  size_t statistics;  // [statistics_per_row]
};

// A normalisation at one point of the step: LayerNorm or RMSNorm of each row.
template <typename T>
class NormSite {
 public:
  // sums_doutput: whether a backward pass sums doutput, for β or for whatever else is added to the output   Throws std::bad_alloc.
  NormSite(const NormShape& shape, const NormArrays<T>& arrays, const NormTape& tape, bool keeps_inputs, bool sums_doutput);

  // input, output: [rows, size], may be one array unless input is saved(step)
  void forward(const StepRows<T>& step, const T* input, T* output) const noexcept;
  // output += the normalised input, without β
  void forward_onto(const StepRows<T>& step, const T* input, T* output) const noexcept;
  // Where forward's input is best, since it need not be copied from there in order to be kept; null where it is not kept.
  T* saved(const StepRows<T>& step) const noexcept { return step.kept(tape_.inputs, shape_.size); }
  // input: as forward had it   doutput, dinput: [rows, size], may be one array
  void backward(const StepRows<T>& step, const T* input, const T* doutput, T* dinput) const noexcept;

  // Forward mode: each of `count` tangents of the step's one row becomes that of its normalised self [count, size]. input: as forward had
  // it
  void tangents(const StepRows<T>& step, const T* input, size_t count, T* tangents) const noexcept;

  const T* bias() const noexcept { return arrays_.bias; }

  // As of Cell. twin: for a site that does not sum doutput, one that got the same and has accumulated
  void accumulate(const NormSite* twin) const noexcept;
  // Σ doutput over the steps of the last accumulate() [size]: the gradient of whatever is added to the site's output.
  const T* output_gradient() const noexcept { return sums_->doutput->total(); }

 private:
  RowStatistics<T> statistics(const StepRows<T>& step) const noexcept;
  size_t row_of_sums(const StepRows<T>& step) const noexcept;
  const T* saved_before(const StepRows<T>& step) const noexcept;
  void normalize(const StepRows<T>& step, const T* input, const T* bias, size_t ld_bias, T* output) const noexcept;

  struct Sums {
    SequenceSums<T> dweight;
    std::optional<SequenceSums<T>> doutput;
    AlignedBuffer<T> truth;  // [N, size]: true gradients by the output, where those of the recursion are scaled

    Sums(size_t sequences, size_t size, bool sums_doutput) : dweight(sequences, size), truth(sequences * size) {
      if (sums_doutput) doutput.emplace(sequences, size);
    }
  };

  NormShape shape_;
  NormArrays<T> arrays_;
  NormTape tape_;
  bool keeps_inputs_;
  AlignedBuffer<T> scratch_;  // statistics of one step, in a forward pass that keeps nothing
  std::optional<Sums> sums_;  // in a backward pass
};

// The normalisations of a cell: what a placement means. A cell asks at each point of its step for the site there.
template <typename T>
class NormSites {
 public:
  // arrays: for each of the placement's points   tape: numbers of a sequence's step before theirs   Throws std::bad_alloc.
  NormSites(Placement placement, const NormShape& shape, const std::array<NormArrays<T>, kMaxNormSites>& arrays, size_t tape);

  // Null where no normalisation stands.
  const NormSite<T>* at(NormPoint point) const noexcept {
    const auto& site = sites_[static_cast<size_t>(point)];
    return site ? &*site : nullptr;
  }

  bool any() const noexcept {
    return std::any_of(sites_.begin(), sites_.end(), [](const auto& site) { return site.has_value(); });
  }

  void accumulate() const noexcept;

 private:
  std::array<std::optional<NormSite<T>>, kNormPoints> sites_;
};

}  // namespace evenkeel
