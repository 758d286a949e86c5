#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gen_apu_data_pkg::fuzz::sources_list(data));
