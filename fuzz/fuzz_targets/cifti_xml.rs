#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hebb_fuzz::cifti_xml::run(bytes));
