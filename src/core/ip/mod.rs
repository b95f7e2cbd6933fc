//! The Internet layer of a host: what to accept, where to send, how to cut and join.
