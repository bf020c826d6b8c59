"""Kernels: arrays in, arrays out, natural units (years, 1.00 of volatility)."""
