"""Trains and saves signs.keras beside this file: whether the numbers of a sequence sum to more than 0. Made with Keras 3.15.1 (JAX 0.10.2)."""

import pathlib

import keras
import numpy

keras.utils.set_random_seed(1)
random = numpy.random.default_rng(1)
lengths = random.integers(5, 31, 1024)
x = random.normal(size=(1024, 30, 1)).astype("float32")
x[numpy.arange(30)[None, :] >= lengths[:, None]] = 0
y = (x.sum(axis=(1, 2)) > 0).astype("float32")
model = keras.Sequential(
    [
        keras.Input((None, 1)),
        keras.layers.Masking(),
        keras.layers.Bidirectional(keras.layers.LSTM(8, return_sequences=True)),
        keras.layers.GRU(8),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=64, epochs=3, verbose=2)
model.compile()
model.save(pathlib.Path(__file__).parent / "signs.keras")
print(model.predict(x[:3], verbose=0).ravel().tolist(), y[:3])
