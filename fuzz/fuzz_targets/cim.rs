#![no_main]
thread_local!(static DOOR: im_server::fuzz::Door = im_server::fuzz::Door::default());
libfuzzer_sys::fuzz_target!(|data: &[u8]| DOOR.with(|door| door.cim(data)));
