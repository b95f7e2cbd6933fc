//! servers.
