//! The world, simulated: a virtual clock, impaired links, hosts with scripts.
