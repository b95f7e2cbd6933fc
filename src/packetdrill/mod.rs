//! Conformance scripts in packetdrill's language, run in virtual time.

pub mod script;

pub mod run;
