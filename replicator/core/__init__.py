"""What it means: records, states, the archive's bytes and names, time and plans. No I/O of any kind."""
