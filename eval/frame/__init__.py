"""What every evaluation shares: benchmarks and protocols, questions, answers, numbers with intervals, files."""
