//! CIM
