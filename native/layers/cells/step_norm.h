#pragma once
#include <cstddef>
#include <deque>
#include <initializer_list>
#include <vector>

#include "core/aligned_buffer.h"
#include "kernels/gate_kernels.h"
#include "layers/cells/cell_parts.h"
#include "layers/norm_site.h"

namespace evenkeel {

// Which columns of an array of a step [rows, columns] are normalised together, and what of it is kept.
struct StepNormPlan {
  struct Group {
    size_t column, size;
    NormTape places;
  };
  Norm kind;
  double eps;
  size_t columns = 0;
  std::vector<Group> groups;

  // sizes: of each group   Throws std::bad_alloc.
  StepNormPlan(Norm of_kind, double with_eps, std::initializer_list<size_t> sizes, TapePlan& tape);
  // `count` groups of one size.   Throws std::bad_alloc.
  StepNormPlan(Norm of_kind, double with_eps, size_t count, size_t size, TapePlan& tape);

 private:
  void add(size_t size, TapePlan& tape);
};

// Normalisations of an array of a step: each group of columns has statistics of its own. It keeps what it normalises.
template <typename T>
class StepNorm {
 public:
  // weight, bias: γ, β [columns], β none for kind rms and where biases follow   sums_output: whether backward sums the gradient by the
  // output for add_output_gradient()   Throws std::bad_alloc.
  StepNorm(const StepNormPlan& plan, size_t sequences, bool keeps, const CellParameter<T>& weight, const CellParameter<T>& bias,
           bool sums_output);

  // Where its input is best, since it need not be copied from there; null for nowhere in particular.
  T* saved(const StepRows<T>& step) const noexcept { return groups_.size() == 1 ? groups_[0].site.saved(step) : nullptr; }
  // input, output: [rows, columns], may be one array unless input is saved(step)
  void forward(const StepRows<T>& step, StepArray<const T> input, StepArray<T> output) const noexcept;
  // output += the normalised input
  void forward_onto(const StepRows<T>& step, StepArray<const T> input, StepArray<T> output) const noexcept;
  // ∂L/∂output becomes ∂L/∂input, or is kept where another array is given for that, which has the same leading dimension
  void backward(const StepRows<T>& step, StepArray<T> gradient) const noexcept { backward(step, gradient, gradient.data); }
  void backward(const StepRows<T>& step, StepArray<const T> doutput, T* dinput) const noexcept;
  // Of the step's one row, the first columns of a tangent, of whole groups, become those of its normalised self.
  void tangent(const StepRows<T>& step, T* tangent, size_t columns) const noexcept;

  // As of Cell.
  void accumulate() const noexcept;
  // gradient [columns] += Σ ∂L/∂output, when it has accumulated; nothing for null
  void add_output_gradient(T* gradient) const noexcept;

 private:
  struct Group {
    size_t column, size;
    NormSite<T> site;

    Group(const StepNormPlan::Group& plan, const NormShape& shape, const NormArrays<T>& arrays, bool sums_output)
        : column(plan.column), size(plan.size), site(shape, arrays, plan.places, true, sums_output) {}
  };
  T* scratch(const StepRows<T>& step, const Group& group, size_t which) const noexcept;
  T* pack(const StepRows<T>& step, const Group& group, StepArray<const T> input) const noexcept;

  size_t sequences_;
  std::deque<Group> groups_;
  AlignedBuffer<T> scratch_;  // of each group its columns, packed, twice [2, N, size]
};

}  // namespace evenkeel
