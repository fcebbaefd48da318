"""What training runs on: processor and GPU, threads, memory, and the programs beside it."""
