//! `wat2wasm SOURCE MODULE`: turns a module's text into its bytes.

use std::{env, fs, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [source, module] = &arguments[..] else {
        eprintln!("usage: wat2wasm SOURCE MODULE");
        return ExitCode::from(2);
    };
    match wat::parse_file(source).map(|bytes| fs::write(module, bytes)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(module, &error),
        Err(error) => fail(source, &error),
    }
}

fn fail(file: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{file}: {error}");
    ExitCode::FAILURE
}
