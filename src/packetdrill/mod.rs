//! Conformance scripts in packetdrill's language, run in virtual time.

pub mod script;

pub mod outcome;

pub mod source;

mod lexer;

mod define;

pub mod parser;

pub mod net;

pub mod options;

pub mod seen;

pub mod flow;

pub mod packet;

pub mod diff;

pub mod symbols;

pub mod call;

pub mod run;
