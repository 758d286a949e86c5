#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| apu_debian::fuzz::deb822(data));
