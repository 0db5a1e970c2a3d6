"""Prints the polynomials of tanh-inl.h as C++: python3 tanh_table.py (needs mpmath)."""

import struct

from mpmath import cos, lu_solve, matrix, mp, mpf, pi, tanh

mp.dps = 40

# w = 1.246 t + 0.75 goes through eight half-octaves while t goes from 0 to 9.02, above which tanh rounds to 1 in float.
SLOPE, OFFSET, LIMIT, PIECES, DEGREE = mpf("1.246"), mpf("0.75"), mpf("9.02"), 8, 7
# In double: an odd polynomial up to here, and as many terms after t itself.
SMALL, ODD_TERMS = mpf("0.55"), 11


def to_float(value):
    return mpf(struct.unpack("f", struct.pack("f", float(value)))[0])


def bits(value):
    return struct.unpack("I", struct.pack("f", value))[0]


def remez(f, powers, weight, low, high):
    """The coefficients c that minimise the largest weight(x) |f(x) − Σ c_k x^powers[k]| over [low, high]."""
    n = len(powers)
    nodes = [(low + high) / 2 - (high - low) / 2 * cos(pi * (i + mpf(1) / 2) / (n + 1)) for i in range(n + 1)]
    for _ in range(8):
        left, right = matrix(n + 1, n + 1), matrix(n + 1, 1)
        for i, x in enumerate(nodes):
            for k, power in enumerate(powers):
                left[i, k] = weight(x) * x**power
            left[i, n] = (-1) ** i
            right[i] = weight(x) * f(x)
        c = lu_solve(left, right)
        extrema = []
        for x in (low + (high - low) * (1 - cos(pi * mpf(i) / 400)) / 2 for i in range(401)):
            error = weight(x) * (f(x) - sum(c[k] * x**power for k, power in enumerate(powers)))
            if not extrema or (error > 0) != (extrema[-1][1] > 0):
                extrema.append((x, error))
            elif abs(error) > abs(extrema[-1][1]):
                extrema[-1] = (x, error)
        while len(extrema) > n + 1:
            extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
        if len(extrema) < n + 1:
            break
        nodes = [x for x, _ in extrema]
    return [c[k] for k in range(n)]


def piece(low, high):
    """tanh(t) = Σ a_k (t − centre)^k on [low, high], each coefficient rounded to float before the next is fitted."""
    if low == 0:
        centre, a, low = mpf(0), [mpf(0), mpf(1)], mpf(2) ** -30
    else:
        # Near the lower end, where tanh is nearly a float, on a grid on which t − centre is exact.
        near = [mpf(round(float(low) * 2**14) + step) / 2**14 for step in range(-60, 61)]
        centre = min(near, key=lambda c: abs(to_float(tanh(c)) - tanh(c)))
        a = [to_float(tanh(centre))]
    while len(a) <= DEGREE:
        rest = lambda u: tanh(centre + u) - sum(value * u**k for k, value in enumerate(a))
        powers = list(range(len(a), DEGREE + 1))
        a.append(to_float(remez(rest, powers, lambda u: 1 / tanh(centre + u), low - centre, high - centre)[0]))
    return centre, a


def print_pieces():
    first = bits(OFFSET) >> 22
    ends = [(mpf(struct.unpack("f", struct.pack("I", (first + j) << 22))[0]) - OFFSET) / SLOPE for j in range(PIECES + 1)]
    pieces = [piece(low, min(high, LIMIT)) for low, high in zip(ends, ends[1:])]
    # The kernel takes the last three bits of the half-octave's number, which is `first` for the first piece.
    by_bits = [pieces[(j - first) % PIECES] for j in range(PIECES)]
    rows = [[centre for centre, _ in by_bits], *([a[k] for _, a in by_bits] for k in range(DEGREE + 1))]
    for row in rows:
        print("{" + ", ".join(f"{float(value)!r}F" if value != int(value) else f"{int(value)}.0F" for value in row) + "},")


def print_odd():
    f = lambda s: (tanh(mp.sqrt(s)) / mp.sqrt(s) - 1) / s
    weight = lambda s: s * mp.sqrt(s) / tanh(mp.sqrt(s))
    print("{" + ", ".join(repr(float(c)) for c in remez(f, range(ODD_TERMS), weight, mpf(2) ** -40, SMALL**2)) + "}")


print_pieces()
print_odd()
