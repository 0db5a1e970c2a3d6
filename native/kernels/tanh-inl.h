#if defined(EVENKEEL_KERNELS_TANH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EVENKEEL_KERNELS_TANH_INL_H_
#undef EVENKEEL_KERNELS_TANH_INL_H_
#else
#define EVENKEEL_KERNELS_TANH_INL_H_
#endif

#include <iterator>

#include "hwy/contrib/math/math-inl.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace evenkeel {
namespace HWY_NAMESPACE {

// One number for each of eight pieces of an axis, twice: a vector of sixteen lanes holds them twice.
struct Pieces {
  alignas(64) float values[16];
  constexpr explicit Pieces(const float (&eight)[8]) : values() {
    for (int i = 0; i < 16; ++i) values[i] = eight[i % 8];
  }
};

// tanh(t) = Σ_k kTanhCoefficients[k] (t − kTanhCentres)^k on each piece of [0, 9.02]. From tanh_table.py.
// clang-format off
inline constexpr Pieces kTanhCentres(
    {1.004150390625F, 1.80926513671875F, 2.60546875F, 4.21710205078125F, 5.81915283203125F, 0.0F, 0.202880859375F, 0.60137939453125F});
inline constexpr Pieces kTanhCoefficients[] = {
    Pieces({0.7633317112922668F, 0.9477571249008179F, 0.9891461133956909F, 0.9995654821395874F, 0.9999823570251465F, 0.0F, 0.20014236867427826F, 0.5380303859710693F}),
    Pieces({0.41732487082481384F, 0.10175654292106628F, 0.021589206531643867F, 0.0008688096422702074F, 3.5219545679865405e-05F, 1.0F, 0.9599431753158569F, 0.7105233073234558F}),
    Pieces({-0.31856098771095276F, -0.09644430130720139F, -0.021343355998396873F, -0.0008677733712829649F, -3.470736919553019e-05F, -8.507509363653298e-09F, -0.19213320314884186F, -0.3822818100452423F}),
    Pieces({0.10407499969005585F, 0.05752882361412048F, 0.01386007945984602F, 0.0005743452347815037F, 2.1774823835585266e-05F, -0.33333253860473633F, -0.2813720107078552F, -0.031203515827655792F}),
    Pieces({0.026827337220311165F, -0.02258574590086937F, -0.006483824457973242F, -0.00027716305339708924F, -9.15879263629904e-06F, -2.4462331566610374e-05F, 0.118865966796875F, 0.1447019875049591F}),
    Pieces({-0.04676451161503792F, 0.005030950531363487F, 0.0021842923015356064F, 9.738998778630048e-05F, 2.4893145109672332e-06F, 0.13367220759391785F, 0.09930994361639023F, -0.05439573526382446F}),
    Pieces({0.022474903613328934F, -7.809866656316444e-05F, -0.00047899020137265325F, -2.2380745576811023e-05F, -3.910214445568272e-07F, -0.0022563438396900892F, -0.08806682378053665F, -0.019825197756290436F}),
    Pieces({-0.004392554052174091F, -0.00019998570496682078F, 5.062956552137621e-05F, 2.47298703470733e-06F, 2.6702513977738818e-08F, -0.04771016538143158F, 0.01626744493842125F, 0.017766613513231277F}),
};
// (tanh(t)/t − 1)/t² as a polynomial in t², for t up to 0.55.
inline constexpr double kTanhOdd[] = {-0.333333333333333, 0.13333333333326622, -0.053968253963760544, 0.021869488385852277, -0.008863232601373313, 0.003592092029729277, -0.0014555428413026504, 0.0005884444687624573, -0.0002333815235691368, 8.331639167066626e-05, -1.94946555775561e-05};
// clang-format on

// A table look-up of 8 or 16 lanes sees the last bits of an index alone.
template <class D>
inline constexpr bool kLooksAtLastBits = hn::MaxLanes(D()) >= 8;

// values[index] in each lane; index from 0 to 7, or any where kLooksAtLastBits
template <class D, class VI>
HWY_INLINE hn::Vec<D> piece_values(D d, const Pieces& pieces, VI index) {
  constexpr size_t kLanes = hn::MaxLanes(D());
  if constexpr (kLooksAtLastBits<D>) {
    // Not by hn::IndicesFromVec, which in a build that checks wants indices within the vector.
    return hn::TableLookupLanes(hn::Load(d, pieces.values), decltype(hn::IndicesFromVec(d, index)){index.raw});
  } else if constexpr (kLanes == 4) {
    const auto three = hn::Set(hn::RebindToSigned<D>(), 3);
    const auto lane = hn::IndicesFromVec(d, hn::And(index, three));
    const auto low = hn::TableLookupLanes(hn::Load(d, pieces.values), lane);
    const auto high = hn::TableLookupLanes(hn::Load(d, pieces.values + 4), lane);
    return hn::IfThenElse(hn::RebindMask(d, hn::Gt(index, three)), high, low);
  } else {
    return hn::GatherIndex(d, pieces.values, index);
  }
}

// The smaller of two that are not negative; NaN passes.
template <class D>
HWY_INLINE hn::Vec<D> at_most(D, hn::Vec<D> limit, hn::Vec<D> t) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
  return hn::Min(limit, t);  // on x86 the second one, where either is NaN
#else
  return hn::IfThenElse(hn::Gt(t, limit), limit, t);
#endif
}

// Largest error over all floats 1.0 ulp where the target has fused multiply-adds, else 1.51. Odd; |tanh(x)| ≤ 1; NaN gives NaN.
template <class D>
HWY_INLINE hn::Vec<D> tanh_of(D d, hn::Vec<D> x, float) {
  const auto t = at_most(d, hn::Set(d, 9.02F), hn::Abs(x));
  // The pieces are half-octaves of 1.246 t + 0.75: the exponent's last bits and the mantissa's first are the number of one.
  const auto scaled = hn::MulAdd(t, hn::Set(d, 1.246F), hn::Set(d, 0.75F));
  const hn::RebindToSigned<D> di;
  auto index = hn::ShiftRight<22>(hn::BitCast(di, scaled));
  if constexpr (!kLooksAtLastBits<D>) index = hn::And(index, hn::Set(di, 7));
  const auto u = hn::Sub(t, piece_values(d, kTanhCentres, index));
  constexpr int kDegree = std::size(kTanhCoefficients) - 1;
  auto sum = piece_values(d, kTanhCoefficients[kDegree], index);
  for (int k = kDegree - 1; k >= 0; --k) sum = hn::MulAdd(sum, u, piece_values(d, kTanhCoefficients[k], index));
  return hn::CopySign(sum, x);
}

// tanh(t) = 1 − 2/(exp(2t) + 1), and near 0, where that cancels, t + t³ P(t²). Largest error seen 1.4 ulp.
template <class D>
HWY_INLINE hn::Vec<D> tanh_of(D d, hn::Vec<D> x, double) {
  const auto one = hn::Set(d, 1.0);
  const auto t = hn::Abs(x);
  const auto square = hn::Mul(t, t);
  constexpr int kLast = std::size(kTanhOdd) - 1;
  auto sum = hn::Set(d, kTanhOdd[kLast]);
  for (int k = kLast - 1; k >= 0; --k) sum = hn::MulAdd(sum, square, hn::Set(d, kTanhOdd[k]));
  const auto near = hn::MulAdd(hn::Mul(t, square), sum, t);
  // Beyond 20 the result is 1, and the exponential would overflow in the end.
  const auto limit = hn::Set(d, 20.0);
  const auto power = hn::Exp(d, hn::IfThenElse(hn::Gt(t, limit), hn::Set(d, 40.0), hn::Add(t, t)));
  const auto far = hn::Sub(one, hn::Div(hn::Set(d, 2.0), hn::Add(power, one)));
  // NaN is not above 0.55.
  return hn::CopySign(hn::IfThenElse(hn::Gt(t, hn::Set(d, 0.55)), far, near), x);
}

template <class D>
HWY_INLINE hn::Vec<D> tanh(D d, hn::Vec<D> x) {
  return tanh_of(d, x, hn::TFromD<D>{});
}

}  // namespace HWY_NAMESPACE
}  // namespace evenkeel
HWY_AFTER_NAMESPACE();

#endif
