//! ICMP for both families (RFC 792, RFC 4443): echo, and errors in both directions.
//!
//! Reading order: [`errors`], [`quote`], [`echo`].

pub mod errors;

pub mod quote;

pub mod echo;
