"""Classification: the target is a class, and a model predicts the probability of each.

A class is the canonical text of a value (``model.categories``), so text, booleans and integers are
the same class whichever format they were read from. What differs from regression stands here:
which learners there are (``learners``), how one is fitted (``fit``), what a prediction is
(``decision``), what its probabilities are worth (``calibration``), and the figures (``figures``).
"""
