#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| apu_fleet::fuzz::known_hosts(data));
