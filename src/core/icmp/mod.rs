//! ICMP for both families (RFC 792, RFC 4443): echo, and errors in both directions.
//!
//! Reading order: [`errors`], [`echo`].

pub mod errors;

pub mod echo;
