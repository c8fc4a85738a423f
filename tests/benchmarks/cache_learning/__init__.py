"""What the benchmarks of the cache's learning share."""
