#![no_main]
thread_local!(static API: im_route::fuzz::Api = im_route::fuzz::Api::default());
libfuzzer_sys::fuzz_target!(|data: &[u8]| API.with(|api| api.any(data)));
