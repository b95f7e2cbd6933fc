//! The real world's driver: locks, threads, the clock and a device around a stack.
