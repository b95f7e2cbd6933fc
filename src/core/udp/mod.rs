//! UDP (RFC 768), for contrast: a queue of datagrams and nothing more.
