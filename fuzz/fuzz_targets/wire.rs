#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| im_common::fuzz::wire(data));
