//! Sockets in std::net's words.
