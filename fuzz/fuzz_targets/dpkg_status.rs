#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| apu_client::fuzz::dpkg_status(data));
