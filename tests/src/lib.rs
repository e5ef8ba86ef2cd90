//! Harness of the end-to-end suites.

pub mod services;
