#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| apu_proto::fuzz::answers(data));
