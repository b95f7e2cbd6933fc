//! The UDP header (RFC 768): parse and emit.
