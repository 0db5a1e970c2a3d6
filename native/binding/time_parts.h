#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "binding/recurrent_layer.h"
#include "layers/recurrent/recurrent.h"

// A pass over sequences of different lengths: a part of the time for every number of them that go on.
namespace evenkeel::binding {

// Steps [begin, begin + steps) of the first `rows` sequences, and where on the tape they stand.
struct TimePart {
  size_t rows, begin, steps, tape;

  // `whole` with these rows and steps, in arrays of all
  RecurrentShape of(RecurrentShape whole) const {
    whole.t_stride = whole.steps_apart();
    whole.n = rows;
    whole.t = steps;
    return whole;
  }
};

// The argument `lengths`: of sequences from the longest to the shortest, of which a pass has a part for every number that go on. Null for
// one part, with all of the time.
template <typename T>
class TimeParts {
 public:
  TimeParts(const Arguments& arguments, size_t index, const RecurrentShape& shape, const RecurrentLayer& layer) : has_lengths_(false) {
    if (arguments.count() <= index || arguments.is_null(index)) {
      add({shape.n, 0, shape.t, 0}, shape, layer);
      return;
    }
    has_lengths_ = true;
    lengths_ = arguments.copy<std::int32_t>(index, "lengths", shape.n);
    size_t begin = 0;
    for (size_t n = shape.n; n > 0; --n) {
      const std::int32_t length = lengths_[n - 1];
      if (length < static_cast<std::int64_t>(begin) || length > static_cast<std::int64_t>(shape.t)) {
        fail(arguments.env(), "ERR_OPTION", "lengths: expected whole numbers from 0 to t, the longest first.");
      }
      const size_t end = static_cast<size_t>(length);
      if (end > begin) add({n, begin, end - begin, tape_}, shape, layer);
      begin = end;
    }
  }

  const std::vector<TimePart>& all() const { return parts_; }
  bool has_lengths() const { return has_lengths_; }
  bool operator==(const TimeParts& other) const { return has_lengths_ == other.has_lengths_ && lengths_ == other.lengths_; }
  // Elements of the tapes of all parts, one after the other.
  size_t tape() const { return tape_; }

 private:
  void add(const TimePart& part, const RecurrentShape& shape, const RecurrentLayer& layer) {
    parts_.push_back(part);
    tape_ += tape_length<T>(part.of(shape), layer.traits());
  }

  bool has_lengths_;
  std::vector<std::int32_t> lengths_;
  std::vector<TimePart> parts_;
  size_t tape_ = 0;
};

// While it lives, the passes over several parts pack the weights once.
template <typename T>
class Sharing {
 public:
  Sharing(RecurrentLayer& layer, const TimeParts<T>& time) : layer_(time.all().size() > 1 ? &layer : nullptr) {
    if (layer_ != nullptr) layer_->template share_weights<T>(true);
  }
  ~Sharing() {
    if (layer_ != nullptr) layer_->template share_weights<T>(false);
  }
  Sharing(const Sharing&) = delete;
  Sharing& operator=(const Sharing&) = delete;

 private:
  RecurrentLayer* layer_;
};

}  // namespace evenkeel::binding
