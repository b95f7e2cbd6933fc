//! The octets between the program and the network.
