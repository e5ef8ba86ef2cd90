//! End-to-end tests: one binary, one module for each topic; two cores link slowly.

mod archive;
mod backends;
mod bad_input;
mod blocking;
mod bounds;
mod chat;
mod cim;
mod cluster;
mod command_line;
mod disk_full;
mod documents;
mod everywhere;
mod examples;
mod faults;
mod hostile;
mod kept;
mod killed;
mod links;
mod nodes;
mod one_master;
mod real;
mod rewound;
mod shell;
mod slots;
mod standalone;
mod wiped;
