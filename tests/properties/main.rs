//! What must hold for any two connections on any link, and for any segment in any state.

mod forge;

mod case;

mod app;

mod hostile;

mod run;

mod pair;

mod segments;
