"""Data-dependent randomized smoothing: certify a classifier by voting over Gaussian noise.

The method is that of Alfarra, Bibi, Torr and Ghanem, "Data Dependent Randomized Smoothing"
(UAI 2022), on top of Cohen, Rosenfeld and Kolter, "Certified Adversarial Robustness via
Randomized Smoothing" (ICML 2019).
"""

__version__ = "0.1.0"
