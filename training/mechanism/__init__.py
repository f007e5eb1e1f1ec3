"""Gradient descent in the forward pass: linear regression in context (von Oswald et al. 2023, arXiv 2212.07677)."""
