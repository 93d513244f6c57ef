"""The parts of `bench_relay`: the load (a process of its own), the servers it is put on, and what they exchange."""
