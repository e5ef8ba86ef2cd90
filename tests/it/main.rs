//! End-to-end suites, one module for each topic. One binary: two cores link slowly.

mod backends;
