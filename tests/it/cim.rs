//! CIM's clients in our cluster, and its users moving in.

mod moving;
