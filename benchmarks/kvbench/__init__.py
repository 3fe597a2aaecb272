"""The benchmarks' own library: data, peers, workloads, targets and the report."""
