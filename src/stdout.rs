//! Standard output that may take nothing: a full disk behind it is an error, where the standard library's `print!` panics.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::process;

/// Writes, or ends the program with an error.
pub(crate) fn write(text: Arguments<'_>) {
    if let Err(error) = io::stdout().lock().write_fmt(text) {
        eprintln!("error: cannot write to standard output: {error}");
        process::exit(1);
    }
}

/// As that of the standard library, but for the panic.
macro_rules! print {
    ($($text:tt)*) => { $crate::stdout::write(format_args!($($text)*)) };
}

/// As above, with the end of a line.
macro_rules! println {
    () => { $crate::stdout::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::stdout::write(format_args!("{}\n", format_args!($($text)*))) };
}
