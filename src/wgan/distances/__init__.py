"""How far apart two distributions are.

:mod:`wgan.distances.discrete` has the distances of histograms, which are known exactly. The other modules have the
distances of samples: functions ``(x, y, *, seed=0) -> float`` of two arrays (N, D) and (M, D), each with its line in
``wgan.registry.DISTANCES``. They know nothing of images. :mod:`wgan.distances.estimate` adds errors.
"""
