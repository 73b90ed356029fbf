"""One-dimensional machinery of the circle and of zonal measures: laws, quantiles, monotone plans, certificates."""
