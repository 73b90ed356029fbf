"""One-dimensional machinery of the circle and of zonal measures: laws, their quantiles, monotone plans, certificates."""
