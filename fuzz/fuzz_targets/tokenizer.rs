#![no_main]

libfuzzer_sys::fuzz_target!(
    // The tokenizers library panics on some descriptions, which its caller catches: the fuzzer's hook would end the process first.
    init: std::panic::set_hook(Box::new(|panic| eprintln!("{panic}"))),
    |bytes: &[u8]| hebb_fuzz::tokenizer::run(bytes)
);
